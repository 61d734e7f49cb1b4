import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { forEachRef } from '../inspect.ts'

/** `swarmctl service rm`. */
export const serviceRemoveVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rm')
    .alias('remove')
    .description('Remove services; their tasks drain and stop')
    .argument('<service...>', 'Names or ids')
    .addHelpText('after', '\nExample:\n  swarmctl service rm web\n')
    .action(
      run((context, refs: string[]) =>
        forEachRef(context, refs, async (ref) => {
          await context.client.call({
            method: 'DELETE',
            path: `/services/${encodeURIComponent(ref)}`,
          })
          return undefined
        }),
      ),
    )
}
