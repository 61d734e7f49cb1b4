import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { nodeInspectVerb } from './inspect.ts'
import { nodeListVerb } from './ls.ts'
import { nodePsVerb } from './ps.ts'
import { nodeRemoveVerb } from './rm.ts'
import { nodeUpdateVerbs } from './update.ts'

/** `swarmctl node`. */
export const nodeCommand = (program: Command, run: Runner): void => {
  const noun = program
    .command('node')
    .description('Manage the nodes of the swarm')
    .addHelpText('after', '\nExample:\n  swarmctl node ls\n')
  nodeListVerb(noun, run)
  nodeInspectVerb(noun, run)
  nodePsVerb(noun, run)
  nodeUpdateVerbs(noun, run)
  nodeRemoveVerb(noun, run)
}
