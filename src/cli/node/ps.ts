import type { Command } from 'commander'
import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import { withListOptions } from '../format/listing.ts'
import type { PsOptions } from '../task-table.ts'
import { printTasks } from '../task-table.ts'
import { nodePath } from './resolve.ts'

/** `swarmctl node ps`. */
export const nodePsVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ps'))
    .description('List the tasks on nodes')
    .argument('[ref...]', 'Ids, hostnames or "self"', ['self'])
    .option('-f, --filter <key=value>', 'Only what matches: name, desired-state …', collect)
    .option('--no-resolve', 'Show ids instead of names')
    .addHelpText('after', '\nExample:\n  swarmctl node ps h2\n')
    .action(
      run(async (context, refs: string[], options: PsOptions) => {
        const ids: Record<string, true> = {}
        for (const ref of refs) {
          const node = await context.client.call<Node>({ path: await nodePath(context, ref) })
          ids[node.ID] = true
        }
        const tasks = await context.client.call<Task[]>({
          path: '/tasks',
          query: { filters: parseFilterFlags(options.filter, { node: ids }) },
        })
        await printTasks(context, options, tasks)
      }),
    )
}
