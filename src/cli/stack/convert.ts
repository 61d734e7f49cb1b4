import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import type { FileOptions } from './stack-input.ts'
import {
  bodiesOf,
  convertFiles,
  readStack,
  STACK_ARGUMENT,
  stackName,
  tellWarnings,
  withFiles,
} from './stack-input.ts'

/** `swarmctl stack convert`: what would be created, without a cluster. */
export const stackConvertVerb = (noun: Command, run: Runner): void => {
  withFiles(noun.command('convert'))
    .description(
      'Print the API requests that a stack would be deployed with, the data of secrets included ("stack plan" hides it)',
    )
    .argument(...STACK_ARGUMENT)
    .addHelpText('after', '\nExample:\n  swarmctl stack convert -c stack.yml demo\n')
    .action(
      run(async (context, given: string | undefined, options: FileOptions) => {
        const loaded = await readStack(context, options)
        tellWarnings(context, loaded)
        const bodies = bodiesOf(await convertFiles(loaded, stackName(given, loaded)))
        context.output.write(`${JSON.stringify(bodies, null, 2)}\n`)
      }),
    )
}
