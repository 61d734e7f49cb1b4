import type { Command } from 'commander'
import type { Node } from '../../api/node.ts'
import type { Runner } from '../context.ts'
import { type InspectOptions, inspectAll, withInspectOptions } from '../inspect.ts'
import { prettyNode } from '../pretty/node.ts'
import { nodePath } from './resolve.ts'

/** `swarmctl node inspect`. */
export const nodeInspectVerb = (noun: Command, run: Runner): void => {
  withInspectOptions(noun.command('inspect'))
    .description('Show all that is known of nodes')
    .argument('<ref...>', 'Ids, hostnames or "self"')
    .addHelpText('after', '\nExample:\n  swarmctl node inspect --pretty self\n')
    .action(
      run((context, refs: string[], options: InspectOptions) =>
        inspectAll(
          context,
          refs,
          options,
          async (ref) => context.client.call({ path: await nodePath(context, ref) }),
          (node) => prettyNode(node as Node),
        ),
      ),
    )
}
