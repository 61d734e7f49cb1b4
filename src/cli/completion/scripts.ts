/** Asks for candidates, one a line: the word, a tab, what it is. `:files` stands for the shell's own completion of paths. */
export const COMPLETE = '__complete'

const BASH = `# bash completion for swarmctl
_swarmctl() {
  local line word joins broken i rest="\${COMP_LINE:0:COMP_POINT}"
  local -a words=()
  COMPREPLY=()
  # Words break at "=" and ":" too: those that stand together are one.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    [[ "$rest" == [![:space:]]* ]] && ((i > 0)) && joins=1 || joins=
    rest="\${rest#"\${rest%%[![:space:]]*}"}"
    word="\${COMP_WORDS[i]}"
    # Of the last one what is before the cursor.
    ((i == COMP_CWORD)) && word="\${rest#[\\"\\']}"
    rest="\${rest#"$word"}"
    if [[ -n "$joins" ]]; then words[-1]+="$word"; else words+=("$word"); fi
  done
  # What is before the last break is there already.
  [[ "$word" == [=:] ]] && word=
  broken="\${words[-1]%"$word"}"
  words[0]="\${words[0]/#~\\//$HOME/}"
  while IFS= read -r line; do
    case "$line" in
      '') ;;
      :files) compopt -o default ;;
      *)
        line="\${line%%$'\\t'*}"
        case "$line" in *[=:]) compopt -o nospace ;; esac
        COMPREPLY+=("\${line#"$broken"}")
        ;;
    esac
  done < <("\${words[0]}" ${COMPLETE} "\${words[@]:1}" 2>/dev/null)
}
complete -F _swarmctl swarmctl
`

const ZSH = `#compdef swarmctl
# zsh completion for swarmctl
_swarmctl() {
  local -a whole open
  local line word files
  for line in "\${(@f)$(\${~words[1]} ${COMPLETE} "\${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    word="\${line%%$'\\t'*}"
    case "$line" in
      '') ;;
      :files) files=1 ;;
      *[=:]$'\\t'*) open+=("$word") ;;
      *) whole+=("\${word//:/\\\\:}\${\${line#*$'\\t'}:+:\${line#*$'\\t'}}") ;;
    esac
  done
  (( \${#whole} )) && _describe 'swarmctl' whole
  (( \${#open} )) && compadd -S '' -a open
  if [[ -n "$files" ]]; then
    # The path begins behind "--flag=".
    [[ "$PREFIX" == --*=* ]] && compset -P 1 '*='
    _files
  fi
  return 0
}
# In a folder of fpath this file is itself the function, the first time; else it is read by source.
if [[ "\${funcstack[1]}" == _swarmctl ]]; then
  _swarmctl "$@"
else
  compdef _swarmctl swarmctl
fi
`

const FISH = `# fish completion for swarmctl
function __swarmctl_complete
    set -l before (commandline -opc)
    set -l program (string replace -r '^~(?=/)' -- $HOME $before[1])
    # A quote that is still open is no part of the word.
    set -l current (string trim -l -c '"\\'' -- (commandline -ct))
    for line in ($program ${COMPLETE} $before[2..-1] "$current" 2>/dev/null)
        if test "$line" = ':files'
            # The path begins behind "--flag=".
            set -l flag (string match -r -- '^--[^=]+=' "$current")
            for path in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$current"))
                printf '%s%s\\n' "$flag" $path
            end
        else
            printf '%s\\n' $line
        end
    end
end
complete -c swarmctl -f -a '(__swarmctl_complete)'
`

/** The scripts that \`swarmctl completion\` prints. */
export const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const

/** A shell that can be completed in. */
export type Shell = keyof typeof SCRIPTS
