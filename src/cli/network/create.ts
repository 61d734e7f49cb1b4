import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import { containsAddress, type Ipv4Block, parseCidr } from '../../api/ipv4.ts'
import { collect, collectListed, parseLabels } from '../arguments.ts'
import type { Runner } from '../context.ts'
import { labelMap } from '../service/key-values.ts'

interface CreateOptions {
  driver: string
  subnet?: string[]
  gateway?: string[]
  ipRange?: string[]
  auxAddress?: string[]
  ipamDriver?: string
  ipamOpt?: string[]
  opt?: string[]
  label?: string[]
  internal?: boolean
  attachable?: boolean
  ingress?: boolean
  scope?: string
  configFrom?: string
  configOnly?: boolean
  ipv4?: boolean
  ipv6?: boolean
}

/** An IPv4 network, or an address as a network of its own; undefined for others. */
const blockOf = (text: string): Ipv4Block | undefined =>
  parseCidr(text.includes('/') ? text : `${text}/32`)

/** Whether an address, or a part of a subnet, lies in it. With one subnet everything is taken to; the daemon checks. */
const liesIn = (subnet: string, inner: string): boolean => {
  const [net, part] = [blockOf(subnet), blockOf(inner)]
  if (!net || !part) return subnet.includes(':') && inner.includes(':')
  return part.prefix >= net.prefix && containsAddress(net, part.first)
}

interface PoolConfig {
  Subnet?: string
  Gateway?: string
  IPRange?: string
  AuxiliaryAddresses?: Record<string, string>
}

const noSubnet = (flag: string, value: string): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `no matching subnet for ${flag} ${value}`)

/** Sets what a pool has one of. */
const place = (
  pools: readonly PoolConfig[],
  flag: string,
  field: 'IPRange' | 'Gateway',
  value: string,
): void => {
  const pool =
    pools.length === 1 ? pools[0] : pools.find(({ Subnet }) => liesIn(Subnet ?? '', value))
  if (!pool) throw noSubnet(flag, value)
  if (pool[field] !== undefined) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      `${flag} ${value}: its subnet has ${pool[field]} already, each needs one of its own`,
    )
  }
  pool[field] = value
}

/** Each range, gateway and auxiliary address goes to the subnet that it lies in. */
const poolsOf = (options: CreateOptions): PoolConfig[] => {
  const isAny = options.ipRange ?? options.gateway ?? options.auxAddress
  // What lies in no subnet at all goes along: the API says what is wrong with it.
  const pools: PoolConfig[] = options.subnet?.map((Subnet) => ({ Subnet })) ?? (isAny ? [{}] : [])
  for (const range of options.ipRange ?? []) place(pools, '--ip-range', 'IPRange', range)
  for (const gateway of options.gateway ?? []) place(pools, '--gateway', 'Gateway', gateway)
  for (const [name, address] of Object.entries(parseLabels(options.auxAddress))) {
    const pool = pools.find(({ Subnet }) => liesIn(Subnet ?? '', address))
    if (!pool) throw noSubnet('--aux-address', address)
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address }
  }
  return pools
}

const ipamOf = (options: CreateOptions): object => {
  const config = poolsOf(options)
  if (config.length === 0 && options.ipamDriver === undefined && !options.ipamOpt) return {}
  return {
    IPAM: {
      ...(options.ipamDriver !== undefined && { Driver: options.ipamDriver }),
      ...(options.ipamOpt && { Options: parseLabels(options.ipamOpt) }),
      Config: config,
    },
  }
}

const createBody = (name: string, options: CreateOptions) => ({
  Name: name,
  Driver: options.driver,
  Internal: options.internal === true,
  Attachable: options.attachable === true,
  Options: parseLabels(options.opt),
  Labels: labelMap('--label', options.label),
  ...(options.ingress && { Ingress: true }),
  ...(options.scope !== undefined && { Scope: options.scope }),
  ...(options.configOnly && { ConfigOnly: true }),
  ...(options.configFrom !== undefined && { ConfigFrom: { Network: options.configFrom } }),
  ...(options.ipv4 !== undefined && { EnableIPv4: options.ipv4 }),
  ...(options.ipv6 !== undefined && { EnableIPv6: options.ipv6 }),
  ...ipamOf(options),
})

/** `swarmctl network create`. */
export const networkCreateVerb = (noun: Command, run: Runner): void => {
  noun
    .command('create')
    .description('Create a network')
    .argument('<name>', 'Its name')
    .option('-d, --driver <driver>', 'overlay, or a driver of the local Engine', 'overlay')
    .option('--subnet <cidr>', 'Subnet, of any size', collectListed)
    .option('--gateway <ip>', 'Gateway of the subnet', collectListed)
    .option('--ip-range <cidr>', 'Part of the subnet to give addresses from', collectListed)
    .option('--aux-address <name=ip>', 'Address that is taken already', collect)
    .option('--ipam-driver <driver>', 'Driver that gives addresses')
    .option('--ipam-opt <key=value>', 'Option of that driver (several times)', collect)
    .option('--ipv4', 'Give IPv4 addresses; --ipv4=false for none')
    .option('--no-ipv4', 'Give no IPv4 addresses')
    .option('--ipv6', 'Give IPv6 addresses')
    .option('-o, --opt <key=value>', 'Driver option (several times)', collect)
    .option('--label <key=value>', 'Label (several times)', collect)
    .option('--internal', 'No way out of the network')
    .option('--attachable', 'Containers that are no tasks may join')
    .option('--ingress', 'The network of the routing mesh')
    .option('--scope <scope>', 'swarm or local')
    .option('--config-from <network>', 'Take the configuration from this network')
    .option('--config-only', 'A configuration for other networks')
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
