import type { Command } from 'commander'
import type { Task } from '../../api/task.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import { withListOptions } from '../format/listing.ts'
import type { PsOptions } from '../task-table.ts'
import { printTasks } from '../task-table.ts'
import { getService } from './update.ts'

/** `swarmctl service ps`. */
export const servicePsVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ps'))
    .description('List the tasks of services, with why one waits or failed')
    .argument('<service...>', 'Names or ids')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, node, desired-state', collect)
    .option('--no-resolve', 'Show ids instead of names')
    .addHelpText('after', '\nExample:\n  swarmctl service ps --no-trunc web\n')
    .action(
      run(async (context, refs: string[], options: PsOptions) => {
        const ids: Record<string, true> = {}
        for (const ref of refs) {
          const service = await getService(context, ref)
          ids[service.ID] = true
        }
        const tasks = await context.client.call<Task[]>({
          path: '/tasks',
          query: { filters: parseFilterFlags(options.filter, { service: ids }) },
        })
        await printTasks(context, options, tasks)
      }),
    )
}
