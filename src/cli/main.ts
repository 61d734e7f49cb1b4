import { type Command, CommanderError } from 'commander'
import { toSwarmctlError } from '../api/errors.ts'
import { DEFAULT_HOST } from './client.ts'
import { type GroupDeps, registerCommands } from './command-groups.ts'
import { COMPLETE } from './completion/scripts.ts'
import type { CliHost, Runner } from './context.ts'
import { contextOf } from './context.ts'
import { ExitStatus } from './exit-status.ts'
import { FlagCommand } from './flag-command.ts'
import { USAGE_EXIT_CODE } from './flag-error.ts'

/** What the executable injects, since the CLI itself never imports the daemon. */
export type CliDeps = CliHost & GroupDeps

/** Commander's message, which may have a suggestion on a line of its own, as one line. */
const usageLine = (text: string): string => {
  const message = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ')
    .replace(/\.$/, '')
  return `swarmctl: ${message}; --help shows the flags and an example\n`
}

const ROOT_HELP = `
"swarmctl COMMAND --help" shows a command's flags and an example.

Exit codes: 0 done; 1 failed, with one line why; 125 a flag can't be read; 130 ended by Ctrl-C;
of exec the command's own.

Example:
  swarmctl init && swarmctl service create --name web --publish 8080:80 nginx
`

const rootCommand = (deps: CliDeps): Command =>
  new FlagCommand('swarmctl')
    .description('Swarm mode rebuilt outside the Docker Engine')
    .version(deps.version, '-v, --version')
    .option(
      '-H, --host <host>',
      `Daemon socket to connect to (default: SWARMCTL_HOST or ${DEFAULT_HOST})`,
    )
    .configureOutput({
      writeOut: (text) => deps.output.write(text),
      writeErr: (text) => deps.output.writeError(text),
      outputError: (text, write) => write(usageLine(text)),
    })
    .enablePositionalOptions()
    .addHelpText('after', ROOT_HELP)
    .exitOverride()

/** What commander says of flags that can't be read. The docker CLI ends with another code for all else: an unknown command, too many arguments, too few. */
const FLAG_ERRORS = ['commander.unknownOption', 'commander.optionMissingArgument']

const exitCodeOf = ({ code, exitCode }: CommanderError): number => {
  // A noun without a verb shows its verbs: no failure, as in Docker.
  if (exitCode === 0 || code === 'commander.help') return 0
  return FLAG_ERRORS.includes(code) ? USAGE_EXIT_CODE : 1
}

/** The command tree: all of it, or of a command line as much as it may mean. */
export const buildProgram = async (
  deps: CliDeps,
  args: readonly string[] = [],
): Promise<Command> => {
  const program = rootCommand(deps)
  const run: Runner =
    (action) =>
    async (...given) => {
      const command = given.at(-1) as Command
      await action(contextOf(deps, command), ...given)
    }
  // A word that is completed needs no other commands than the line would.
  await registerCommands(program, run, deps, args[0] === COMPLETE ? args.slice(1) : args)
  return program
}

/** `help service create` as docker's CLI means it: the help of the command that all words name. A word that names none is an unknown command. */
const askedForHelp = (program: Command, words: readonly string[]): string[] => {
  let command = program
  for (const [at, word] of words.entries()) {
    const next = command.commands.find(
      (other) => other.name() === word || other.aliases().includes(word),
    )
    // A command that acts has no words after it; it is not to act here.
    if (!next)
      return command.commands.length > 0 ? words.slice(0, at + 1) : help(words.slice(0, at))
    command = next
  }
  return help(words)
}

const help = (words: readonly string[]): string[] => [...words, '--help']

/** Runs one command line; returns the exit code. Nothing but one line reaches the user when it fails. */
export const main = async (args: readonly string[], deps: CliDeps): Promise<number> => {
  try {
    const topic = args[0] === 'help' && args.length > 1 ? args.slice(1) : undefined
    const program = await buildProgram(deps, topic ?? args)
    if (args[0] === COMPLETE) {
      const { printCandidates } = await import('./completion/command.ts')
      await printCandidates(program, args.slice(1), deps)
      return 0
    }
    await program.parseAsync(topic ? askedForHelp(program, topic) : [...args], { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      return exitCodeOf(thrown)
    }
    if (deps.signal.aborted) return 130
    if (thrown instanceof ExitStatus) return thrown.exitCode
    const error = toSwarmctlError(thrown)
    deps.output.writeError(`swarmctl: ${error.message}\n`)
    return error.exitCode
  }
}
