import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { carriedThrough } from './carried-through.ts'

/** `swarmctl leave`: takes this machine out of its swarm and everything of the swarm off this machine. */
export const leaveVerb = (parent: Command, run: Runner): void => {
  parent
    .command('leave')
    .description('Leave the swarm and remove everything that it made on this machine')
    .option('-f, --force', 'Leave even if this node is a manager, or its Engine is down')
    .addHelpText('after', '\nExample:\n  swarmctl leave\n')
    .action(
      run(async (context, options: { force?: boolean }) => {
        await carriedThrough(context, (signal) =>
          context.client.call({
            method: 'POST',
            path: '/swarm/leave',
            query: { force: options.force === true },
            signal,
          }),
        )
        context.output.write('Node left the swarm.\n')
      }),
    )
}
