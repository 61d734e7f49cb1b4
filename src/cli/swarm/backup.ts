import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { invalid, SwarmctlError } from '../../api/errors.ts'
import type { CliContext, Runner } from '../context.ts'
import { passphraseFlag, readPassphrase } from './passphrase.ts'
import { megabytes, TransferProgress } from './transfer-progress.ts'

const FILE_MODE = 0o600

const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  await directory.sync().finally(() => directory.close())
}

type WriteBytes = (part: Buffer) => Promise<unknown>

/** Where a backup goes. */
interface Target {
  /** Whether what is told goes to standard output: not beside the bytes. */
  isFile: boolean
  /** Lets `pass` write all, and makes it last. */
  fill(pass: (write: WriteBytes) => Promise<void>): Promise<void>
}

/** A file that appears when it is whole and durable, and not before. */
const wholeFile = (path: string): Target => ({
  isFile: true,
  async fill(pass) {
    const temporary = `${path}.${process.pid}.part`
    try {
      const file = await open(temporary, 'wx', FILE_MODE)
      try {
        await pass((part) => file.writeFile(part))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      await syncDirectory(dirname(path))
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  },
})

/** A pipe or a device (`/dev/null`, `/dev/stdout`) gets the bytes: a file in its place would be the end of it. */
const device = (path: string): Target => ({
  isFile: false,
  async fill(pass) {
    const file = await open(path, 'w')
    await pass((part) => file.writeFile(part)).finally(() => file.close())
  },
})

const standardOutput = ({ terminal }: CliContext): Target => {
  if (terminal.outputIsTerminal) {
    throw invalid('a backup is not for a terminal: name a file, or lead standard output elsewhere')
  }
  return { isFile: false, fill: (pass) => pass((part) => terminal.write('stdout', part)) }
}

/** @throws SwarmctlError INVALID_ARGUMENT */
const targetOf = async (context: CliContext, path: string): Promise<Target> => {
  if (path === '-') return standardOutput(context)
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw invalid(`${path} is a directory: name a file in it`)
  if (found && !found.isFile()) return device(path)
  // A link stays one.
  return wholeFile(found ? await realpath(path) : path)
}

const writeWhole = async (
  answer: IncomingMessage,
  target: Target,
  onBytes: (count: number) => void,
): Promise<void> => {
  try {
    await target.fill(async (write) => {
      for await (const part of answer as AsyncIterable<Buffer>) {
        await write(part)
        onBytes(part.length)
      }
    })
  } catch (cause) {
    answer.destroy()
    const { message, code } = cause as NodeJS.ErrnoException
    const why = code === 'ECONNRESET' ? 'the daemon broke off, see its log' : message
    throw new SwarmctlError('INTERNAL', `no backup was written: ${why}`, { cause })
  }
}

/** `swarmctl backup`: the swarm's state in one encrypted file, taken while everything runs. */
export const backupVerb = (parent: Command, run: Runner): void => {
  parent
    .command('backup')
    .description('Write all of the swarm to an encrypted file: state, secrets, CA and keys')
    .argument(
      '<file>',
      'Where to, - for standard output; an existing file is replaced when the new one is whole',
    )
    .addOption(passphraseFlag())
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl backup --passphrase-file /root/passphrase swarm.backup\n',
    )
    .action(
      run(async (context, path: string, options: { passphraseFile?: string }) => {
        const target = await targetOf(context, path)
        const Passphrase = await readPassphrase(context, options.passphraseFile, { repeat: true })
        const answer = await context.client.open({
          method: 'POST',
          path: '/swarmctl/backup',
          body: { Passphrase },
          signal: context.signal,
        })
        const progress = new TransferProgress(context, { verb: 'Backed up' })
        await writeWhole(answer, target, (count) => progress.add(count)).finally(() =>
          progress.end(),
        )
        const { 'x-swarmctl-cluster': cluster, 'x-swarmctl-index': index } = answer.headers
        const tell = target.isFile ? context.output.write : context.output.writeError
        tell(
          `Backup of swarm ${cluster} as of change ${index} written to ${path === '-' ? 'standard output' : path} (${megabytes(progress.bytes)}).\n` +
            'Whoever has the file and the passphrase has the swarm: keep them apart.\n',
        )
      }),
    )
}
