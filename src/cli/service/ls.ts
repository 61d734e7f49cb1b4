import type { Command } from 'commander'
import type { Service } from '../../api/service.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import type { ListOptions } from '../format/listing.ts'
import { withListOptions } from '../format/listing.ts'
import { printServices } from './service-table.ts'

/** `swarmctl service ls`. */
export const serviceListVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description('List services')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label, mode', collect)
    .addHelpText('after', '\nExample:\n  swarmctl service ls --filter mode=global\n')
    .action(
      run(async ({ client, output }, options: ListOptions & { filter?: string[] }) => {
        const services = await client.call<Service[]>({
          path: '/services',
          query: { filters: parseFilterFlags(options.filter), status: true },
        })
        printServices(output, options, services)
      }),
    )
}
