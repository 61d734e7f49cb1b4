import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'
import { backupVerb } from './backup.ts'
import { caVerb } from './ca.ts'
import { initVerb } from './init.ts'
import { joinVerb } from './join.ts'
import { joinTokenVerb } from './join-token.ts'
import { leaveVerb } from './leave.ts'
import { restoreVerb } from './restore.ts'
import { unlockKeyVerb, unlockVerb } from './unlock.ts'
import { updateVerb } from './update.ts'

/** The swarm's own verbs, at the top level and, for Docker's fingers, under `swarm`. */
export const swarmCommands = (program: Command, run: Runner, launcher: DaemonLauncher): void => {
  const swarm = program
    .command('swarm')
    .description('The same verbs under the name Docker gives them')
    .addHelpText('after', '\nExample:\n  swarmctl swarm update --task-history-limit 3\n')
  for (const parent of [program, swarm]) {
    initVerb(parent, run, launcher)
    joinVerb(parent, run, launcher)
    joinTokenVerb(parent, run)
    leaveVerb(parent, run)
    unlockVerb(parent, run)
    unlockKeyVerb(parent, run)
  }
  backupVerb(program, run)
  restoreVerb(program, run, launcher)
  caVerb(swarm, run)
  updateVerb(swarm, run)
}
