import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { inspectAll } from '../inspect.ts'
import { nodePath } from './resolve.ts'

/** `swarmctl node inspect`. */
export const nodeInspectVerb = (noun: Command, run: Runner): void => {
  noun
    .command('inspect')
    .description('Show all that is known of nodes')
    .argument('<ref...>', 'Ids, hostnames or "self"')
    .option('-f, --format <format>', 'json, or a template')
    .addHelpText('after', '\nExample:\n  swarmctl node inspect self\n')
    .action(
      run((context, refs: string[], options: { format?: string }) =>
        inspectAll(context, refs, options.format, async (ref) =>
          context.client.call({ path: await nodePath(context, ref) }),
        ),
      ),
    )
}
