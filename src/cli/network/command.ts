import type { Command } from 'commander'
import { GoTime } from '../../api/go-template/go-values.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import type { Column, ListOptions } from '../format/listing.ts'
import { labelFields, printListing, shortId, withListOptions } from '../format/listing.ts'
import { forEachRef, type InspectOptions, inspectAll } from '../inspect.ts'
import { isNotFound } from '../task-target.ts'
import { networkUseVerbs } from './attach.ts'
import { networkCreateVerb } from './create.ts'

interface NetworkBody {
  Id: string
  Name: string
  Driver: string
  Scope: string
  Created?: string
  EnableIPv4?: boolean
  EnableIPv6?: boolean
  Internal?: boolean
  Labels?: Record<string, string> | null
}

const COLUMNS: readonly Column[] = [
  { head: 'NETWORK ID', field: 'ID' },
  { head: 'NAME', field: 'Name' },
  { head: 'DRIVER', field: 'Driver' },
  { head: 'SCOPE', field: 'Scope' },
]

const networkPath = (ref: string): string => `/networks/${encodeURIComponent(ref)}`

const listVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description('List networks, of the swarm and of the local Engine')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label, scope …', collect)
    .addHelpText('after', '\nExample:\n  swarmctl network ls --filter scope=swarm\n')
    .action(
      run(async ({ client, output }, options: ListOptions & { filter?: string[] }) => {
        const networks = await client.call<NetworkBody[]>({
          path: '/networks',
          query: { filters: parseFilterFlags(options.filter) },
        })
        const rows = networks
          .sort((a, b) => a.Name.localeCompare(b.Name))
          .map((network) => ({
            id: shortId(network.Id, options),
            fields: {
              ID: shortId(network.Id, options),
              Name: network.Name,
              Driver: network.Driver,
              Scope: network.Scope,
              IPv4: String(network.EnableIPv4 ?? true),
              IPv6: String(network.EnableIPv6 ?? false),
              Internal: String(network.Internal ?? false),
              CreatedAt: String(new GoTime(network.Created ?? '')),
              ...labelFields(network.Labels),
            },
          }))
        printListing(output, options, COLUMNS, rows)
      }),
    )
}

const inspectVerb = (noun: Command, run: Runner): void => {
  noun
    .command('inspect')
    .description('Show all that is known of networks')
    .argument('<ref...>', 'Names or ids')
    .option('-f, --format <format>', 'json, or a template')
    .option('-v, --verbose', 'Also the services and tasks on it')
    .addHelpText('after', '\nExample:\n  swarmctl network inspect --verbose backend\n')
    .action(
      run((context, refs: string[], options: InspectOptions & { verbose?: boolean }) =>
        inspectAll(context, refs, options, (ref) =>
          context.client.call({
            path: networkPath(ref),
            query: { verbose: options.verbose },
          }),
        ),
      ),
    )
}

const removeVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rm')
    .alias('remove')
    .description('Remove networks that no service uses')
    .argument('<ref...>', 'Names or ids')
    .option('-f, --force', 'No error when one does not exist')
    .addHelpText('after', '\nExample:\n  swarmctl network rm backend\n')
    .action(
      run((context, refs: string[], options: { force?: boolean }) =>
        forEachRef(context, refs, async (ref) => {
          try {
            await context.client.call({ method: 'DELETE', path: networkPath(ref) })
          } catch (error) {
            if (!options.force || !isNotFound(error)) throw error
          }
          return undefined
        }),
      ),
    )
}

/** `swarmctl network`. */
export const networkCommand = (program: Command, run: Runner): void => {
  const noun = program
    .command('network')
    .description('Manage networks')
    .addHelpText('after', '\nExample:\n  swarmctl network create -d overlay backend\n')
  networkCreateVerb(noun, run)
  listVerb(noun, run)
  inspectVerb(noun, run)
  removeVerb(noun, run)
  networkUseVerbs(noun, run)
}
