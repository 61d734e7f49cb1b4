import { DEFAULT_ADDR_POOL, DEFAULT_SUBNET_SIZE } from '../../api/defaults.ts'
import { ipv4Pool, ipv4SubnetOf } from '../../api/ipam-pools.ts'
import {
  blockSize,
  formatCidr,
  formatIpv4,
  type Ipv4Block,
  lastAddress,
  overlaps,
  parseCidr,
  parseIpv4,
} from '../../api/ipv4.ts'
import { formatIpv6, formatIpv6Cidr } from '../../api/ipv6.ts'
import { mirrorAddress } from '../../api/ipv6-mirror.ts'
import type { Network } from '../../api/network.ts'
import { isNodeLocal } from '../../api/node-local-network.ts'
import type { Cluster } from '../../api/swarm.ts'
import { NETWORK_INDEX_SCOPE } from '../store/claims.ts'
import type { View } from '../store/view.ts'
import { type AddressPool, type AddressRange, planOf } from './address-plan.ts'
import { ENDING_NETWORK, endingNetworks } from './ending-networks.ts'
import { allocateIpv6 } from './ipv6-subnets.ts'

/** A VXLAN-independent number that names the bridge `sw-br<Index>` (api/network.ts). */
const NETWORK_INDEX_MAX = 4094

/** What can't be given now, and why; it is tried again when something that it waits for changes. */
export interface Blocked {
  kind: 'blocked'
  reason: string
}

export const blocked = (reason: string): Blocked => ({ kind: 'blocked', reason })

/** An overlay's subnet; undefined before it is allocated and for host, bridge and none. */
export const subnetOf = (network: Network): Ipv4Block | undefined =>
  parseCidr(network.IPAMOptions.Configs[0]?.Subnet ?? '')

/** What an overlay's addresses are cut from; undefined before it is allocated. */
export const poolOf = (network: Network): AddressPool | undefined => {
  const subnet = subnetOf(network)
  const range = parseCidr(network.IPAMOptions.Configs[0]?.Range ?? '')
  return subnet && { subnet, ...(range && { range }) }
}

/** What the addresses of a network will be cut from that is not allocated yet, if its spec says. */
export const requestedPool = ({ Spec }: Network): AddressPool | undefined => {
  const { Configs } = Spec.IPAMOptions
  const subnet = ipv4SubnetOf(Configs)
  const range = parseCidr(ipv4Pool(Configs)?.Range ?? '')
  return subnet && { subnet, ...(range && { range }) }
}

interface Occupied {
  block: Ipv4Block
  owner: string
}

/** What is in the way of a new subnet. */
interface InTheWay {
  /** Also what networks asked for that have none yet. */
  withRequested: boolean
  /** Also removed networks on which tasks still end: they are soon out of the way. */
  withEnding: boolean
}

/** What a new subnet must not overlap: other networks, and what the hosts themselves use. */
const occupiedBlocks = (view: View, exceptId: string, options: InTheWay): Occupied[] => {
  const occupied: Occupied[] = []
  const add = (text: string | undefined, owner: string): void => {
    const block = parseCidr(text ?? '')
    // A default route is no subnet of the host's.
    if (block !== undefined && block.prefix > 0) occupied.push({ block, owner })
  }
  for (const network of view.list('network')) {
    if (network.ID === exceptId) continue
    // Each node's own networks are none of the cluster's addresses.
    const isAsked = options.withRequested && !isNodeLocal(network)
    const requested = isAsked ? network.Spec.IPAMOptions.Configs : []
    const configs = [...network.IPAMOptions.Configs, ...requested]
    for (const { Subnet } of configs) add(Subnet, `network ${network.Spec.Name}`)
  }
  for (const { Description, Status } of view.list('node')) {
    const owner = `node ${Description.Hostname}`
    for (const subnet of Description.Swarmctl.HostSubnets) add(subnet, `a route of ${owner}`)
    if (parseIpv4(Status.Addr) !== undefined) add(`${Status.Addr}/32`, `the address of ${owner}`)
  }
  const ending = options.withEnding ? endingNetworks(view) : []
  for (const block of ending.flatMap((network) => subnetOf(network) ?? []))
    occupied.push({ block, owner: ENDING_NETWORK })
  return occupied
}

/** What a user's subnet overlaps, in words; undefined when it is free. */
export const subnetConflict = (
  view: View,
  subnet: Ipv4Block,
  exceptId: string,
  options: InTheWay,
): string | undefined => {
  const other = occupiedBlocks(view, exceptId, options).find(({ block }) => overlaps(block, subnet))
  return other && `subnet ${formatCidr(subnet)} overlaps ${formatCidr(other.block)}, ${other.owner}`
}

/** The pools in the order of the search: behind `last` first, what lies before it at the end. */
const searchOrder = (
  pools: readonly Ipv4Block[],
  last: Ipv4Block | undefined,
): readonly AddressRange[] => {
  const whole = pools.map((pool) => ({ first: pool.first, last: lastAddress(pool) }))
  const at = last === undefined ? -1 : pools.findIndex((pool) => overlaps(pool, last))
  const current = whole[at]
  if (last === undefined || current === undefined) return whole
  const behind = { first: lastAddress(last) + 1, last: current.last }
  return [behind, ...whole.slice(at + 1), ...whole.slice(0, at + 1)]
}

/** The first free block of the pools behind `last`, the one that was given last (libnetwork calls it serial allocation). */
const freeSubnet = (
  pools: readonly Ipv4Block[],
  prefix: number,
  occupied: readonly Occupied[],
  last: Ipv4Block | undefined,
): Ipv4Block | undefined => {
  const size = blockSize(prefix)
  for (const range of searchOrder(pools, last)) {
    let first = Math.ceil(range.first / size) * size
    while (first + size - 1 <= range.last) {
      const candidate = { first, prefix }
      const other = occupied.find(({ block }) => overlaps(block, candidate))
      if (other === undefined) return candidate
      // Past what is in the way, aligned: a pool has too many candidates to try each.
      first = Math.max(first + size, Math.ceil((lastAddress(other.block) + 1) / size) * size)
    }
  }
  return undefined
}

/** The next number that no network has: a removed network's is used again when all others were. */
const freeIndex = (view: View): number | undefined => {
  const last = view.cluster()?.Swarmctl.LastNetwork?.Index ?? 0
  for (let step = 0; step < NETWORK_INDEX_MAX; step++) {
    const index = ((last + step) % NETWORK_INDEX_MAX) + 1
    if (view.claimOwner(NETWORK_INDEX_SCOPE, index) === undefined) return index
  }
  return undefined
}

/** An overlay network with its number, subnet and plan. */
export const allocateNetwork = (
  view: View,
  network: Network,
): { kind: 'allocated'; network: Network } | Blocked => {
  const name = `network ${network.Spec.Name}`
  const index = freeIndex(view)
  if (index === undefined) {
    return blocked(`${name}: the cluster has ${NETWORK_INDEX_MAX} networks already`)
  }
  const requested = ipv4SubnetOf(network.Spec.IPAMOptions.Configs)
  const conflict =
    requested &&
    subnetConflict(view, requested, network.ID, { withRequested: false, withEnding: true })
  if (conflict !== undefined) return blocked(`${name}: ${conflict}`)
  const cluster = view.cluster()
  const pools = cluster?.DefaultAddrPool ?? DEFAULT_ADDR_POOL
  const subnet =
    requested ??
    freeSubnet(
      pools.flatMap((pool) => parseCidr(pool) ?? []),
      cluster?.SubnetSize ?? DEFAULT_SUBNET_SIZE,
      occupiedBlocks(view, network.ID, { withRequested: true, withEnding: true }),
      parseCidr(cluster?.Swarmctl.LastNetwork?.Subnet ?? ''),
    )
  if (subnet === undefined) {
    return blocked(
      `${name}: no free subnet is left in the address pool ${pools.join(', ')}: remove networks, or give it one with --subnet`,
    )
  }
  const range = requestedPool(network)?.range
  const plan = planOf({ subnet, ...(range && { range }) })
  // Each node has its own gateway; tools that show one get the subnet's first, which nobody else has in `blocks`.
  const gateway = plan === 'blocks' ? subnet.first + 1 : undefined
  const ipv6 = allocateIpv6(view, network, { index, subnet })
  if (ipv6.kind === 'blocked') return ipv6
  return {
    kind: 'allocated',
    network: {
      ...network,
      IPAMOptions: {
        Configs: [
          {
            Subnet: formatCidr(subnet),
            ...(range && { Range: formatCidr(range) }),
            ...(gateway !== undefined && { Gateway: formatIpv4(gateway) }),
          },
          ...ipv6.subnets.map((subnet6) => ({
            Subnet: formatIpv6Cidr(subnet6),
            ...(gateway !== undefined && { Gateway: formatIpv6(mirrorAddress(subnet6, gateway)) }),
          })),
        ],
      },
      Swarmctl: { Index: index, Plan: plan, Gateways: {} },
    },
  }
}

/** Gateways of nodes that are no more, released. Undefined when there are none. */
export const withoutGoneGateways = (view: View, network: Network): Network | undefined => {
  const entries = Object.entries(network.Swarmctl.Gateways)
  const kept = entries.filter(([nodeId]) => view.get('node', nodeId) !== undefined)
  return kept.length === entries.length
    ? undefined
    : { ...network, Swarmctl: { ...network.Swarmctl, Gateways: Object.fromEntries(kept) } }
}

/** The cluster once the network got its number and subnet: the next search begins behind them. */
export const withLastNetwork = (cluster: Cluster, network: Network): Cluster => {
  const isAsked = ipv4Pool(network.Spec.IPAMOptions.Configs) !== undefined
  const given = isAsked ? undefined : network.IPAMOptions.Configs[0]?.Subnet
  const Subnet = given ?? cluster.Swarmctl.LastNetwork?.Subnet ?? ''
  const LastNetwork = { Index: network.Swarmctl.Index, Subnet }
  return { ...cluster, Swarmctl: { ...cluster.Swarmctl, LastNetwork } }
}
