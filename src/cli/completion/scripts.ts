/** Asks for candidates, one a line: the word, a tab, what it is. `:files` stands for the shell's own completion of paths. */
export const COMPLETE = '__complete'

const BASH = `# bash completion for swarmctl
_swarmctl() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      '') ;;
      :files) compopt -o default ;;
      *)
        line="\${line%%$'\\t'*}"
        # Words break at "=": what is before it is there already.
        [[ "$line" == --*=?* ]] && line="\${line#*=}"
        case "$line" in *[=:]) compopt -o nospace ;; esac
        COMPREPLY+=("$line")
        ;;
    esac
  done < <("\${COMP_WORDS[0]}" ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _swarmctl swarmctl
`

const ZSH = `#compdef swarmctl
# zsh completion for swarmctl
_swarmctl() {
  local -a whole open
  local line word
  for line in "\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ "$line" == ':files' ]]; then
      _files
    elif [[ -n "$line" ]]; then
      word="\${line%%$'\\t'*}"
      if [[ "$word" == *[=:] ]]; then
        open+=("$word")
      else
        whole+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
      fi
    fi
  done
  (( \${#whole} )) && _describe 'swarmctl' whole
  (( \${#open} )) && compadd -S '' -a open
  return 0
}
compdef _swarmctl swarmctl
`

const FISH = `# fish completion for swarmctl
function __swarmctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] ${COMPLETE} $before[2..-1] "$current" 2>/dev/null)
        if test "$line" = ':files'
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c swarmctl -f -a '(__swarmctl_complete)'
`

/** The scripts that \`swarmctl completion\` prints. */
export const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const

/** A shell that can be completed in. */
export type Shell = keyof typeof SCRIPTS
