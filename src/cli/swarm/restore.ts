import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import { invalid } from '../../api/errors.ts'
import type { Restored } from '../../api/swarm.ts'
import type { CliContext, Runner } from '../context.ts'
import { daemonFlags } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'
import { carriedThrough } from './carried-through.ts'
import { ensureDaemon } from './ensure-daemon.ts'
import { type NodeAddresses, withNodeAddresses } from './node-flags.ts'
import { passphraseFlag, readPassphrase } from './passphrase.ts'
import { TransferProgress } from './transfer-progress.ts'

interface RestoreOptions extends NodeAddresses {
  passphraseFile?: string
}

const openFile = async (path: string) => {
  try {
    const file = await open(path, 'r')
    return { file, size: (await file.stat()).size }
  } catch (error) {
    throw invalid(`can't read ${path}: ${(error as Error).message}`)
  }
}

const explain = ({ output }: CliContext, restored: Restored): void => {
  output.write(
    `Swarm ${restored.ClusterID} is restored as of ${restored.CreatedAt} (change ${restored.Index}).\n` +
      `This node (${restored.NodeID}) is its only manager. Workers come back by themselves.\n` +
      'The backup\'s manager had the same id: if it was another machine, run "swarmctl leave --force" there too.\n',
  )
  if (restored.RemovedManagers.length > 0) {
    output.write(
      `These managers were removed; on each run "swarmctl leave --force" and join it again: ${restored.RemovedManagers.join(', ')}\n`,
    )
  }
}

/** `swarmctl restore`: makes this machine the manager of a swarm that a backup holds. */
export const restoreVerb = (parent: Command, run: Runner, launcher: DaemonLauncher): void => {
  const command = parent
    .command('restore')
    .description(
      'Make this machine the manager of the swarm in a backup; the swarm must have no manager left',
    )
    .argument('<file>', 'What "swarmctl backup" wrote')
    .addOption(passphraseFlag())
  withNodeAddresses(command)
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl restore --passphrase-file /root/passphrase swarm.backup\n',
    )
    .action(
      run(async (context, path: string, options: RestoreOptions & Record<string, unknown>) => {
        const { file, size } = await openFile(path)
        const progress = new TransferProgress(context, { verb: 'Read', total: size })
        try {
          const passphrase = await readPassphrase(context, options.passphraseFile, {
            repeat: false,
          })
          const client = await ensureDaemon(context, launcher, options)
          const stream = file.createReadStream({ autoClose: false })
          stream.on('data', (part) => progress.add(part.length))
          const send = (signal: AbortSignal) =>
            client.upload<Restored>({
              method: 'POST',
              path: '/swarmctl/restore',
              query: {
                ListenAddr: options.listenAddr,
                AdvertiseAddr: options.advertiseAddr,
                DataPathAddr: options.dataPathAddr,
              },
              headers: {
                'X-Swarmctl-Passphrase': Buffer.from(passphrase, 'utf8').toString('base64'),
              },
              signal,
              stream,
              source: path,
            })
          const restored = await carriedThrough(
            context,
            (signal) => send(signal).finally(() => progress.end()),
            ' if it has the whole file',
          )
          explain(context, restored)
        } finally {
          await file.close().catch(() => {})
        }
      }),
    )
  for (const flag of daemonFlags()) command.addOption(flag)
}
