import { type Command, Option } from 'commander'
import { daemonFlags } from './flags.ts'

/** `swarmctl daemon`: the one process of a node, in the foreground. */
export const daemonCommand = (
  program: Command,
  deps: { runDaemon(options: Record<string, unknown>): Promise<void> },
): void => {
  const command = program
    .command('daemon')
    .description('Run the daemon of this node in the foreground')
    .addOption(
      new Option('--log-level <level>', 'Least severe log lines to print')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .addHelpText('after', '\nExample:\n  swarmctl daemon --data-dir /var/lib/swarmctl\n')
    .action((options: Record<string, unknown>) => deps.runDaemon(options))
  for (const flag of daemonFlags()) command.addOption(flag)
}
