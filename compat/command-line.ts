/** A command as a step writes it, and what of it a CLI has. Pure. */

/** Words of a command line: parted by blanks, `'…'` keeps them together. */
export const wordsOf = (line: string): string[] =>
  [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replace(/'([^']*)'/g, '$1'))

/** `service create` of `service create --name web …`. */
export const commandOf = (words: readonly string[]): string => words.slice(0, 2).join(' ')

/** The long flags in a command line, up to the image or `--`: what follows is for the container. */
export const flagsOf = (words: readonly string[]): string[] => {
  const end = words.indexOf('--')
  return words
    .slice(0, end < 0 ? undefined : end)
    .filter((word) => /^--[a-z]/.test(word))
    .map((word) => word.replace(/=.*$/s, ''))
}

/** Subcommands of a `docker NOUN --help`. */
export const subcommandsIn = (help: string): string[] => {
  const section = /\n(?:Commands|Swarm Commands):\n((?: {2}\S.*\n?)*)/.exec(help)?.[1] ?? ''
  return [...section.matchAll(/^ {2}([a-z-]+)/gm)].map((match) => match[1]!)
}

/** Long flags of a `docker NOUN VERB --help`. */
export const flagsIn = (help: string): string[] =>
  [...help.matchAll(/^ +(?:-[a-zA-Z], )?(--[a-z][a-z0-9-]*)/gm)].map((match) => match[1]!)
