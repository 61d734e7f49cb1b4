import type { Argument, Command, Option } from 'commander'

/** What names of the cluster a word may be. */
export type NameKind = 'service' | 'task' | 'node' | 'network' | 'secret' | 'config' | 'stack'

/** Something that the word under the cursor may become. */
export interface Candidate {
  value: string
  description: string
}

/** What is known without asking anybody: fixed words, and which names and files would do. */
export interface Expected {
  candidates: Candidate[]
  names: NameKind[]
  /** Follows a name: `=` in `service scale web=3`, `:` in `cp web:/etc`. */
  suffix: '' | '=' | ':'
  files: boolean
  /** Stands before each candidate: `--flag=`. */
  prefix: string
}

const KINDS: readonly string[] = ['service', 'task', 'node', 'network', 'secret', 'config', 'stack']
/** Paths of this machine whose flags don't say `<file>`; other paths are in containers. */
const PATH_FLAGS = new Set(['--data-dir', '--run-dir'])
const FILE_ARGUMENTS = new Set(['file', 'source', 'target'])

const NOTHING: Expected = { candidates: [], names: [], suffix: '', files: false, prefix: '' }

const isKind = (word: string): word is NameKind => KINDS.includes(word)

const optionOf = (command: Command, flag: string): Option | undefined =>
  command.options.find(({ long, short }) => flag === long || flag === short)

const takesValue = (option: Option): boolean => option.required || option.optional

/** Where the cursor is: which command, and after how many of its arguments. */
interface Place {
  command: Command
  argument: number
  /** The flag whose value comes now. */
  pending: Option | undefined
}

const place = (program: Command, before: readonly string[]): Place => {
  let at: Place = { command: program, argument: 0, pending: undefined }
  for (const word of before) {
    if (at.pending) {
      at = { ...at, pending: undefined }
      continue
    }
    if (word.startsWith('-') && word !== '-') {
      const option = optionOf(at.command, word)
      at = { ...at, pending: option && takesValue(option) ? option : undefined }
      continue
    }
    const child = at.command.commands.find(
      (one) => one.name() === word || one.aliases().includes(word),
    )
    at = child
      ? { command: child, argument: 0, pending: undefined }
      : { ...at, argument: at.argument + 1 }
  }
  return at
}

/** Flags whose description is the list of what they take, which is looked at only where the service is checked: `none, on-failure or any`. */
const LISTED = /<(?:mode|when|action|order|policy|scope)>$/

const listed = ({ flags, description }: Option): string[] =>
  LISTED.test(flags)
    ? description
        .replace(/^.*: | \(.*\)$/g, '')
        .split(/, | or /)
        .filter((word) => /^[a-z-]+$/.test(word))
    : []

const ofValue = (option: Option, prefix: string): Expected => {
  const values = option.argChoices ?? listed(option)
  const candidates = values.map((value) => ({ value, description: '' }))
  const flag = option.long ?? ''
  const kind = flag.replace(/^--/, '').replace(/-(add|rm)$/, '')
  return {
    ...NOTHING,
    candidates,
    prefix,
    names: isKind(kind) ? [kind] : [],
    files: option.flags.endsWith('<file>') || PATH_FLAGS.has(flag),
  }
}

const ofArgument = (command: Command, argument: Argument): Expected => {
  if (argument.argChoices) {
    return {
      ...NOTHING,
      candidates: argument.argChoices.map((value) => ({ value, description: '' })),
    }
  }
  const [words = '', after] = argument.name().split('=')
  const noun = command.parent?.name() ?? ''
  const isCopy = command.name() === 'cp'
  const names = isCopy ? ['service' as const, 'task' as const] : words.split('|').filter(isKind)
  return {
    ...NOTHING,
    names: words === 'ref' && isKind(noun) ? [noun] : names,
    suffix: isCopy ? ':' : after === undefined ? '' : '=',
    files: FILE_ARGUMENTS.has(words),
  }
}

const ofFlags = (command: Command): Expected => ({
  ...NOTHING,
  candidates: [
    ...command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short, description }) => ({ value: long ?? short ?? '', description })),
    { value: '--help', description: 'Show help' },
  ],
})

/** What the last of the words may become. Pure: reads the command tree alone. */
export const expectedAt = (program: Command, words: readonly string[]): Expected => {
  const current = words.at(-1) ?? ''
  const { command, argument, pending } = place(program, words.slice(0, -1))
  if (pending) return ofValue(pending, '')
  if (current.startsWith('-')) {
    const [flag = '', value] = current.split('=')
    const option = optionOf(command, flag)
    return value !== undefined && option ? ofValue(option, `${flag}=`) : ofFlags(command)
  }
  if (command.commands.length > 0) {
    const children = command.commands.map((one) => ({
      value: one.name(),
      description: one.description(),
    }))
    return { ...NOTHING, candidates: children }
  }
  const known = command.registeredArguments
  const last = known.at(-1)
  const wanted = known[argument] ?? (last?.variadic ? last : undefined)
  return wanted ? ofArgument(command, wanted) : NOTHING
}
