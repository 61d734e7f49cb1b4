import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { inspectAll } from '../inspect.ts'

/** `swarmctl service inspect`. */
export const serviceInspectVerb = (noun: Command, run: Runner): void => {
  noun
    .command('inspect')
    .description('Show all that is known of services')
    .argument('<service...>', 'Names or ids')
    .option('-f, --format <format>', 'json, or a template')
    .addHelpText('after', '\nExample:\n  swarmctl service inspect web\n')
    .action(
      run((context, refs: string[], options: { format?: string }) =>
        inspectAll(context, refs, options.format, (ref) =>
          context.client.call({
            path: `/services/${encodeURIComponent(ref)}`,
            query: { insertDefaults: true },
          }),
        ),
      ),
    )
}
