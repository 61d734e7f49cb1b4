import { Argument, type Command } from 'commander'
import { Client, DEFAULT_HOST } from '../client.ts'
import type { CliHost, Runner } from '../context.ts'
import { clusterNames } from './cluster-names.ts'
import { SCRIPTS, type Shell } from './scripts.ts'
import { expectedAt } from './word-at.ts'

/** The daemon that the words so far mean. */
const hostIn = (words: readonly string[], env: NodeJS.ProcessEnv): string => {
  const at = words.findIndex((word) => word === '-H' || word === '--host')
  // Behind a noun it is the flag of `service create`.
  const isGlobal = at >= 0 && words.slice(0, at).every((word) => word.startsWith('-'))
  const joined = words[0]?.startsWith('--host=') ? words[0].slice('--host='.length) : undefined
  return (isGlobal ? words[at + 1] : joined) ?? env.SWARMCTL_HOST ?? DEFAULT_HOST
}

/** Prints what the last word may become: what the shells' scripts call. Says nothing of errors. */
export const printCandidates = async (
  program: Command,
  words: readonly string[],
  { env, output }: CliHost,
): Promise<void> => {
  const { candidates, names, suffix, files, prefix } = expectedAt(program, words)
  const current = words.at(-1) ?? ''
  const found = names.length === 0 ? [] : await clusterNames(new Client(hostIn(words, env)), names)
  const all = [
    ...candidates,
    ...found.map(({ value, description }) => ({ value: `${value}${suffix}`, description })),
  ]
  const fitting = new Map(
    all
      .map(({ value, description }): [string, string] => [`${prefix}${value}`, description])
      .filter(([value]) => value.startsWith(current)),
  )
  for (const [value, description] of fitting) {
    output.write(`${value}\t${description.split('\n')[0]}\n`)
  }
  if (files) output.write(':files\n')
}

/** `swarmctl completion`. */
export const completionVerb = (program: Command, run: Runner): void => {
  program
    .command('completion')
    .description('Print what makes a shell complete commands, flags and names of the cluster')
    .addArgument(new Argument('<shell>', 'Which').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl completion bash > /etc/bash_completion.d/swarmctl\n' +
        '  swarmctl completion zsh > /usr/local/share/zsh/site-functions/_swarmctl\n' +
        '  swarmctl completion fish > ~/.config/fish/completions/swarmctl.fish\n\n' +
        'Or for this shell alone:\n  source <(swarmctl completion bash)\n  swarmctl completion fish | source\n',
    )
    .action(run(async ({ output }, shell: Shell) => output.write(SCRIPTS[shell])))
}
