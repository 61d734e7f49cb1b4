import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { forEachRef } from '../inspect.ts'
import { nodePath } from './resolve.ts'

/** `swarmctl node rm`. */
export const nodeRemoveVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rm')
    .alias('remove')
    .description('Remove nodes that are down from the swarm')
    .argument('<ref...>', 'Ids or hostnames')
    .option('-f, --force', 'Also remove a node that is up: its containers are taken away')
    .addHelpText('after', '\nExample:\n  swarmctl node rm h3\n')
    .action(
      run((context, refs: string[], options: { force?: boolean }) =>
        forEachRef(context, refs, async (ref) => {
          await context.client.call({
            method: 'DELETE',
            path: await nodePath(context, ref),
            query: { force: options.force === true },
          })
          return undefined
        }),
      ),
    )
}
