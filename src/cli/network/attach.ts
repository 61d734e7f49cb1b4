import type { Command } from 'commander'
import { collect, collectListed, parseFilterFlags, parseLabels } from '../arguments.ts'
import type { CliContext, Runner } from '../context.ts'
import { integer } from '../service/flag-values.ts'

interface ConnectOptions {
  alias?: string[]
  driverOpt?: string[]
  gwPriority?: string
  ip?: string
  ip6?: string
  link?: string[]
  linkLocalIp?: string[]
}

const endpointConfig = (options: ConnectOptions) => ({
  ...((options.ip || options.ip6 || options.linkLocalIp) && {
    IPAMConfig: {
      ...(options.ip && { IPv4Address: options.ip }),
      ...(options.ip6 && { IPv6Address: options.ip6 }),
      ...(options.linkLocalIp && { LinkLocalIPs: options.linkLocalIp }),
    },
  }),
  ...(options.link && { Links: options.link }),
  ...(options.alias && { Aliases: options.alias }),
  ...(options.driverOpt && { DriverOpts: parseLabels(options.driverOpt) }),
  ...(options.gwPriority !== undefined && {
    GwPriority: integer('--gw-priority', options.gwPriority),
  }),
})

const connectVerb = (noun: Command, run: Runner): void => {
  noun
    .command('connect')
    .description('Connect a container of this machine to a network')
    .argument('<network>', 'Name or id')
    .argument('<container>', 'Name or id')
    .option('--alias <name>', 'A further name on that network (several times)', collectListed)
    .option('--driver-opt <key=value>', 'Option of the driver (several times)', collectListed)
    .option('--gw-priority <n>', 'The highest one is the default gateway')
    .option('--ip <ip>', 'IPv4 address')
    .option('--ip6 <ip>', 'IPv6 address')
    .option('--link <container>', 'Link to another container (several times)', collect)
    .option('--link-local-ip <ip>', 'Link-local address (several times)', collectListed)
    .addHelpText('after', '\nExample:\n  swarmctl network connect --alias db backend mycontainer\n')
    .action(
      run(async ({ client }, network: string, container: string, options: ConnectOptions) => {
        await client.call({
          method: 'POST',
          path: `/networks/${encodeURIComponent(network)}/connect`,
          body: { Container: container, EndpointConfig: endpointConfig(options) },
        })
      }),
    )
}

const disconnectVerb = (noun: Command, run: Runner): void => {
  noun
    .command('disconnect')
    .description('Disconnect a container of this machine from a network')
    .argument('<network>', 'Name or id')
    .argument('<container>', 'Name or id')
    .option('-f, --force', 'Also one that does not answer')
    .addHelpText('after', '\nExample:\n  swarmctl network disconnect backend mycontainer\n')
    .action(
      run(async ({ client }, network: string, container: string, options: { force?: boolean }) => {
        await client.call({
          method: 'POST',
          path: `/networks/${encodeURIComponent(network)}/disconnect`,
          body: { Container: container, Force: options.force === true },
        })
      }),
    )
}

const isConfirmed = async ({ output, readStdin }: CliContext): Promise<boolean> => {
  output.write(
    'WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] ',
  )
  return /^y(es)?$/i.test((await readStdin()).toString('utf8').trim())
}

const pruneVerb = (noun: Command, run: Runner): void => {
  noun
    .command('prune')
    .description('Remove the networks that nothing uses')
    .option('-f, --force', 'Do not ask')
    .option('--filter <key=value>', 'Only what matches: until, label', collect)
    .addHelpText('after', '\nExample:\n  swarmctl network prune --force\n')
    .action(
      run(async (context, options: { force?: boolean; filter?: string[] }) => {
        if (!options.force && !(await isConfirmed(context))) return
        const { NetworksDeleted } = await context.client.call<{
          NetworksDeleted: string[] | null
        }>({
          method: 'POST',
          path: '/networks/prune',
          query: { filters: parseFilterFlags(options.filter) },
        })
        if (!NetworksDeleted?.length) return
        context.output.write(`Deleted Networks:\n${NetworksDeleted.join('\n')}\n\n`)
      }),
    )
}

/** `swarmctl network connect|disconnect|prune`. */
export const networkUseVerbs = (noun: Command, run: Runner): void => {
  connectVerb(noun, run)
  disconnectVerb(noun, run)
  pruneVerb(noun, run)
}
