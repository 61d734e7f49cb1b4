import { type Command, Option } from 'commander'
import type { Runner } from '../context.ts'
import { count } from '../service/flag-values.ts'
import { fetchUnlockKey, unlockHint } from './unlock.ts'

interface UpdateOptions {
  taskHistoryLimit?: string
  autolock?: boolean
}

/** `swarmctl swarm update`: changes the swarm's settings. */
export const updateVerb = (parent: Command, run: Runner): void => {
  parent
    .command('update')
    .description("Change the swarm's settings")
    .option('--task-history-limit <n>', 'Old tasks kept per slot')
    .option('--autolock', 'Require an unlock key after a restart; --autolock=false for none')
    .addOption(new Option('--no-autolock').hideHelp())
    .addHelpText('after', '\nExample:\n  swarmctl swarm update --task-history-limit 3\n')
    .action(
      run(async ({ client, output }, options: UpdateOptions) => {
        const swarm = await client.call<{
          Version: { Index: number }
          Spec: { Orchestration?: object; EncryptionConfig?: object }
        }>({ path: '/swarm' })
        const Orchestration = {
          ...swarm.Spec.Orchestration,
          ...(options.taskHistoryLimit !== undefined && {
            TaskHistoryRetentionLimit: count('--task-history-limit', options.taskHistoryLimit),
          }),
        }
        const EncryptionConfig = {
          ...swarm.Spec.EncryptionConfig,
          ...(options.autolock !== undefined && { AutoLockManagers: options.autolock }),
        }
        await client.call({
          method: 'POST',
          path: '/swarm/update',
          query: { version: swarm.Version.Index },
          body: { ...swarm.Spec, Orchestration, EncryptionConfig },
        })
        output.write('Swarm updated.\n')
        if (options.autolock) output.write(`\n${unlockHint(await fetchUnlockKey(client))}`)
      }),
    )
}
