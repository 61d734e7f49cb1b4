import { open, rename, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Runner } from '../context.ts'
import { passphraseFlag, readPassphrase } from './passphrase.ts'
import { megabytes, TransferProgress } from './transfer-progress.ts'

const FILE_MODE = 0o600

const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  await directory.sync().finally(() => directory.close())
}

/** Writes all of an answer to a file that appears when it is whole and durable, and not before. */
const writeWhole = async (
  answer: IncomingMessage,
  path: string,
  onBytes: (count: number) => void,
): Promise<void> => {
  const temporary = `${path}.${process.pid}.part`
  try {
    const file = await open(temporary, 'wx', FILE_MODE)
    try {
      for await (const part of answer as AsyncIterable<Buffer>) {
        await file.writeFile(part)
        onBytes(part.length)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (cause) {
    answer.destroy()
    await rm(temporary, { force: true })
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
    .argument('<file>', 'Where to; an existing file is replaced when the new one is whole')
    .addOption(passphraseFlag())
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl backup --passphrase-file /root/passphrase swarm.backup\n',
    )
    .action(
      run(async (context, path: string, options: { passphraseFile?: string }) => {
        const Passphrase = await readPassphrase(context, options.passphraseFile, { repeat: true })
        const answer = await context.client.open({
          method: 'POST',
          path: '/swarmctl/backup',
          body: { Passphrase },
          signal: context.signal,
        })
        const progress = new TransferProgress(context, { verb: 'Backed up' })
        await writeWhole(answer, path, (count) => progress.add(count)).finally(() => progress.end())
        const { 'x-swarmctl-cluster': cluster, 'x-swarmctl-index': index } = answer.headers
        context.output.write(
          `Backup of swarm ${cluster} as of change ${index} written to ${path} (${megabytes(progress.bytes)}).\n` +
            'Whoever has the file and the passphrase has the swarm: keep them apart.\n',
        )
      }),
    )
}
