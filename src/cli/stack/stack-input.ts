import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { StackBodies } from '../../stack/convert/bodies.ts'
import { convertStack } from '../../stack/convert/stack.ts'
import type { LoadedStack } from '../../stack/load.ts'
import { loadStack } from '../../stack/load.ts'
import { formatWarning } from '../../stack/warnings.ts'
import { collect } from '../arguments.ts'
import type { CliContext } from '../context.ts'

/** `-c`, the same on every verb that reads stack files. */
export interface FileOptions {
  composeFile: string[]
}

/** Adds `-c`. */
export const withFiles = (command: Command): Command =>
  command.requiredOption(
    '-c, --compose-file <file>',
    'Stack file, or - for standard input (several times: later ones over earlier ones)',
    collect,
  )

const readBytes = (path: string): Promise<Uint8Array> => readFile(path)
const STACK_FILES = { readText: (path: string) => readFile(path, 'utf8'), readBytes }

/** Reads the stack files that `-c` names. */
export const readStack = async (
  context: CliContext,
  { composeFile }: FileOptions,
): Promise<LoadedStack> =>
  loadStack({
    files: composeFile,
    env: context.env,
    workdir: process.cwd(),
    io: STACK_FILES,
    ...(composeFile.includes('-') && { stdin: (await context.readStdin()).toString('utf8') }),
  })

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
