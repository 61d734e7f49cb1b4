import type { Command } from 'commander'
import { formatConfig } from '../../stack/format.ts'
import type { Runner } from '../context.ts'
import type { FileOptions } from './stack-input.ts'
import { readStack, withFiles } from './stack-input.ts'

/** `swarmctl stack config`. */
export const stackConfigVerb = (noun: Command, run: Runner): void => {
  withFiles(noun.command('config'))
    .description('Print the merged and interpolated stack file')
    .option('--skip-interpolation', 'Leave variables as they stand in the files')
    .addHelpText('after', '\nExample:\n  swarmctl stack config -c stack.yml -c override.yml\n')
    .action(
      run(async (context, options: FileOptions & { skipInterpolation?: boolean }) => {
        const { config } = await readStack(context, options)
        context.output.write(formatConfig(config, { interpolated: !options.skipInterpolation }))
      }),
    )
}
