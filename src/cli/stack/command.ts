import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { stackConfigVerb } from './config.ts'
import { stackConvertVerb } from './convert.ts'
import { stackDeployVerb } from './deploy.ts'
import { stackListVerb, stackPsVerb, stackServicesVerb } from './list.ts'
import { stackPlanVerb } from './plan.ts'
import { stackRemoveVerb } from './rm.ts'

/** `swarmctl stack`. */
export const stackCommand = (program: Command, run: Runner): void => {
  const noun = program
    .command('stack')
    .description('Manage stacks')
    .addHelpText('after', '\nExample:\n  swarmctl stack deploy -c stack.yml demo\n')
  stackDeployVerb(noun, run)
  stackPlanVerb(noun, run)
  stackListVerb(noun, run)
  stackServicesVerb(noun, run)
  stackPsVerb(noun, run)
  stackRemoveVerb(noun, run)
  stackConfigVerb(noun, run)
  stackConvertVerb(noun, run)
}
