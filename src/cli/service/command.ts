import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { serviceCreateVerb } from './create.ts'
import { serviceInspectVerb } from './inspect.ts'
import { serviceLogsVerb } from './logs.ts'
import { serviceListVerb } from './ls.ts'
import { servicePsVerb } from './ps.ts'
import { serviceRemoveVerb } from './rm.ts'
import { serviceRollbackVerb } from './rollback.ts'
import { serviceScaleVerb } from './scale.ts'
import { serviceUpdateVerb } from './update.ts'

/** `swarmctl service`. */
export const serviceCommand = (program: Command, run: Runner): void => {
  const noun = program
    .command('service')
    .description('Manage services')
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl service create --name web --publish 8080:80 nginx\n',
    )
    .enablePositionalOptions()
  serviceCreateVerb(noun, run)
  serviceListVerb(noun, run)
  servicePsVerb(noun, run)
  serviceInspectVerb(noun, run)
  serviceUpdateVerb(noun, run)
  serviceScaleVerb(noun, run)
  serviceRollbackVerb(noun, run)
  serviceLogsVerb(noun, run)
  serviceRemoveVerb(noun, run)
}
