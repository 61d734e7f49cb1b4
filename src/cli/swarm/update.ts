import type { Command } from 'commander'
import type { Runner } from '../context.ts'

interface UpdateOptions {
  taskHistoryLimit?: string
}

/** `swarmctl swarm update`: changes the swarm's settings. */
export const updateVerb = (parent: Command, run: Runner): void => {
  parent
    .command('update')
    .description("Change the swarm's settings")
    .option('--task-history-limit <n>', 'Old tasks kept per slot')
    .addHelpText('after', '\nExample:\n  swarmctl swarm update --task-history-limit 3\n')
    .action(
      run(async ({ client, output }, options: UpdateOptions) => {
        const swarm = await client.call<{
          Version: { Index: number }
          Spec: { Orchestration?: object }
        }>({ path: '/swarm' })
        const Orchestration = {
          ...swarm.Spec.Orchestration,
          ...(options.taskHistoryLimit !== undefined && {
            TaskHistoryRetentionLimit: Number(options.taskHistoryLimit),
          }),
        }
        await client.call({
          method: 'POST',
          path: '/swarm/update',
          query: { version: swarm.Version.Index },
          body: { ...swarm.Spec, Orchestration },
        })
        output.write('Swarm updated.\n')
      }),
    )
}
