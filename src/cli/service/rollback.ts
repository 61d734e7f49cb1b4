import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { getService, rollback } from './update.ts'
import type { WaitOptions } from './wait.ts'

/** `swarmctl service rollback`. */
export const serviceRollbackVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rollback')
    .description("Go back to a service's previous spec")
    .argument('<service>', 'Name or id')
    .option('-d, --detach', 'Return at once')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting after this time and exit with 1')
    .addHelpText('after', '\nExample:\n  swarmctl service rollback web\n')
    .action(
      run(async (context, ref: string, options: WaitOptions) =>
        rollback(context, await getService(context, ref), options),
      ),
    )
}
