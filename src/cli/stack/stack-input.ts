import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { StackBodies } from '../../stack/convert/bodies.ts'
import { convertStack } from '../../stack/convert/stack.ts'
import type { LoadedStack } from '../../stack/load.ts'
import { loadStack } from '../../stack/load.ts'
import { decodeText, type StackFiles } from '../../stack/source/stack-files.ts'
import { formatWarning } from '../../stack/warnings.ts'
import { collect, collectListed } from '../arguments.ts'
import type { CliContext } from '../context.ts'

/** What every verb that reads stack files takes. */
export interface FileOptions {
  composeFile: string[]
  envFile?: string[]
  profile?: string[]
}

interface ReadOptions extends FileOptions {
  skipInterpolation?: boolean
}

/** Adds `-c` and what goes with it. */
export const withFiles = (command: Command): Command =>
  command
    .requiredOption(
      '-c, --compose-file <file>',
      'Stack file, or - for standard input (several times, or with commas: later ones over earlier ones)',
      collectListed,
    )
    .option(
      '--env-file <file>',
      'File of variables, in place of the .env beside the first stack file',
      collect,
    )
    .option('--profile <name>', 'Also services of this profile; * is all of them', collect)

/** The stack's name in help and usage. */
export const STACK_ARGUMENT = [
  '[stack]',
  'Name of the stack; without one, `name:` of its file',
] as const

const readBytes = (path: string): Promise<Uint8Array> => readFile(path)
const STACK_FILES: StackFiles = {
  readText: async (path) => decodeText(await readFile(path)),
  readBytes,
}

/** Reads the stack files that `-c` names. */
export const readStack = async (
  context: CliContext,
  { composeFile, envFile, profile, skipInterpolation = false }: ReadOptions,
): Promise<LoadedStack> =>
  loadStack({
    files: composeFile,
    env: context.env,
    workdir: process.cwd(),
    skipInterpolation,
    io: STACK_FILES,
    ...(envFile && { envFiles: envFile }),
    ...(profile && { profiles: profile }),
    ...(composeFile.includes('-') && { stdin: await context.readStdin() }),
  })

/** The stack's name: as given, else as its file has it. */
export const stackName = (given: string | undefined, { config }: LoadedStack): string => {
  const name = given ?? config.name
  if (name !== undefined) return name
  throw new SwarmctlError(
    'INVALID_ARGUMENT',
    'name the stack: as the last argument, or with name: at the top of its file',
  )
}

/** Says on standard error what of the files a deployment will not do. */
export const tellWarnings = ({ output }: CliContext, { warnings }: LoadedStack): void => {
  for (const warning of warnings) output.writeError(`${formatWarning(warning)}\n`)
}

/** The create requests of the files. */
export const convertFiles = ({ config }: LoadedStack, namespace: string) =>
  convertStack(config, namespace, STACK_FILES)

/** Only the bodies, as `stack convert` prints them. */
export const bodiesOf = ({ networks, secrets, configs, services }: StackBodies): StackBodies => ({
  networks,
  secrets,
  configs,
  services,
})
