import type { Command } from 'commander'
import { collect, parseFilterFlags, parseLabels } from '../arguments.ts'
import type { Runner } from '../context.ts'
import { GoTime } from '../format/go-values.ts'
import type { Column, ListOptions } from '../format/listing.ts'
import { labelFields, printListing, shortId, withListOptions } from '../format/listing.ts'
import { forEachRef, inspectAll } from '../inspect.ts'

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

interface CreateOptions {
  driver: string
  subnet?: string[]
  gateway?: string[]
  ipRange?: string[]
  opt?: string[]
  label?: string[]
  internal?: boolean
  attachable?: boolean
}

const COLUMNS: readonly Column[] = [
  { head: 'NETWORK ID', field: 'ID' },
  { head: 'NAME', field: 'Name' },
  { head: 'DRIVER', field: 'Driver' },
  { head: 'SCOPE', field: 'Scope' },
]

const networkPath = (ref: string): string => `/networks/${encodeURIComponent(ref)}`

/** The API says what is wrong with a range or gateway without its subnet. */
const pools = ({ subnet = [], gateway = [], ipRange = [] }: CreateOptions) =>
  Array.from({ length: Math.max(subnet.length, gateway.length, ipRange.length) }, (_, at) => ({
    ...(subnet[at] && { Subnet: subnet[at] }),
    ...(gateway[at] && { Gateway: gateway[at] }),
    ...(ipRange[at] && { IPRange: ipRange[at] }),
  }))

const createBody = (name: string, options: CreateOptions) => ({
  Name: name,
  Driver: options.driver,
  Internal: options.internal === true,
  Attachable: options.attachable === true,
  Options: parseLabels(options.opt),
  Labels: parseLabels(options.label),
  ...(pools(options).length > 0 && { IPAM: { Config: pools(options) } }),
})

const createVerb = (noun: Command, run: Runner): void => {
  noun
    .command('create')
    .description('Create a network')
    .argument('<name>', 'Its name')
    .option('-d, --driver <driver>', 'overlay, or a driver of the local Engine', 'overlay')
    .option('--subnet <cidr>', 'Subnet, of any size', collect)
    .option('--gateway <ip>', 'Gateway of the subnet', collect)
    .option('--ip-range <cidr>', 'Part of the subnet to give addresses from', collect)
    .option('-o, --opt <key=value>', 'Driver option (several times)', collect)
    .option('--label <key=value>', 'Label (several times)', collect)
    .option('--internal', 'No way out of the network')
    .option('--attachable', 'Accepted for compatibility')
    .addHelpText('after', '\nExample:\n  swarmctl network create -d overlay backend\n')
    .action(
      run(async ({ client, output }, name: string, options: CreateOptions) => {
        const created = await client.call<{ Id: string; Warning?: string }>({
          method: 'POST',
          path: '/networks/create',
          body: createBody(name, options),
        })
        if (created.Warning) output.writeError(`WARNING: ${created.Warning}\n`)
        output.write(`${created.Id}\n`)
      }),
    )
}

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

/** `swarmctl network`. */
export const networkCommand = (program: Command, run: Runner): void => {
  const noun = program.command('network').description('Manage networks')
  createVerb(noun, run)
  listVerb(noun, run)
  noun
    .command('inspect')
    .description('Show all that is known of networks')
    .argument('<ref...>', 'Names or ids')
    .option('-f, --format <format>', 'json, or a template')
    .addHelpText('after', '\nExample:\n  swarmctl network inspect backend\n')
    .action(
      run((context, refs: string[], options: { format?: string }) =>
        inspectAll(context, refs, options.format, (ref) =>
          context.client.call({ path: networkPath(ref) }),
        ),
      ),
    )
  noun
    .command('rm')
    .alias('remove')
    .description('Remove networks that no service uses')
    .argument('<ref...>', 'Names or ids')
    .addHelpText('after', '\nExample:\n  swarmctl network rm backend\n')
    .action(
      run((context, refs: string[]) =>
        forEachRef(context, refs, async (ref) => {
          await context.client.call({ method: 'DELETE', path: networkPath(ref) })
          return undefined
        }),
      ),
    )
}
