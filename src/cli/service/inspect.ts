import type { Command } from 'commander'
import type { Service } from '../../api/service.ts'
import type { CliContext, Runner } from '../context.ts'
import { type InspectOptions, inspectAll, isPretty, withInspectOptions } from '../inspect.ts'
import { prettyService } from '../pretty/service.ts'

/** Networks are named by id in specs; people know their names. */
const networkNames = async ({ client }: CliContext): Promise<Map<string, string>> => {
  const networks = await client.call<{ Id: string; Name: string }[]>({ path: '/networks' })
  return new Map(networks.map(({ Id, Name }) => [Id, Name]))
}

const inspect = async (
  context: CliContext,
  refs: string[],
  options: InspectOptions,
): Promise<void> => {
  const names = isPretty(options) ? await networkNames(context) : new Map<string, string>()
  await inspectAll(
    context,
    refs,
    options,
    (ref) =>
      context.client.call({
        path: `/services/${encodeURIComponent(ref)}`,
        query: { insertDefaults: true },
      }),
    (service) => prettyService(service as Service, names, context.nowMs()),
  )
}

/** `swarmctl service inspect`. */
export const serviceInspectVerb = (noun: Command, run: Runner): void => {
  withInspectOptions(noun.command('inspect'))
    .description('Show all that is known of services')
    .argument('<service...>', 'Names or ids')
    .addHelpText('after', '\nExample:\n  swarmctl service inspect --pretty web\n')
    .action(
      run((context, refs: string[], options: InspectOptions) => inspect(context, refs, options)),
    )
}
