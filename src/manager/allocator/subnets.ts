import { DEFAULT_ADDR_POOL, DEFAULT_SUBNET_SIZE } from '../../api/defaults.ts'
import { isHostSubnet } from '../../api/host-subnets.ts'
import { ipv4Pool, ipv4SubnetOf } from '../../api/ipam-pools.ts'
import {
  blockSize,
  formatCidr,
  formatIpv4,
  type Ipv4Block,
  lastAddress,
  overlaps,
  parseCidr,
} from '../../api/ipv4.ts'
import { formatIpv6, formatIpv6Cidr } from '../../api/ipv6.ts'
import { mirrorAddress } from '../../api/ipv6-mirror.ts'
import type { Network } from '../../api/network.ts'
import type { Node } from '../../api/node.ts'
import { isNodeLocal } from '../../api/node-local-network.ts'
import type { Cluster } from '../../api/swarm.ts'
import { NETWORK_INDEX_SCOPE } from '../store/claims.ts'
import type { View } from '../store/view.ts'
import { type AddressPool, type AddressRange, planOf } from './address-plan.ts'
import { ENDING_NETWORK, endingNetworks } from './ending-networks.ts'
import { allocateIpv6 } from './ipv6-subnets.ts'

/** A VXLAN-independent number that names the bridge `sw-br<Index>` (api/network.ts). */
const NETWORK_INDEX_MAX = 4094
/** Ranges of nodes that a reason names, the widest first: it is one line. */
const NAMED_MAX = 3

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
  /** A node says so. It may be wrong, or lie. */
  isOfNode: boolean
}

/** What is in the way of a new subnet. */
interface InTheWay {
  /** Also what networks asked for that have none yet. */
  withRequested: boolean
  /** Also removed networks on which tasks still end: they are soon out of the way. */
  withEnding: boolean
}

/** What a node says that its host uses, as far as that counts. */
const occupiedByNode = ({ Description, Status }: Node): Occupied[] => {
  const routes = Description.Swarmctl.HostSubnets.flatMap((text) => parseCidr(text) ?? [])
  const address = parseCidr(`${Status.Addr}/32`)
  const occupied = (block: Ipv4Block, what: string) => ({
    block,
    owner: `${what} of node ${Description.Hostname}`,
    isOfNode: true,
  })
  return [
    ...routes.filter(isHostSubnet).map((block) => occupied(block, 'a route')),
    ...(address === undefined ? [] : [occupied(address, 'the address')]),
  ]
}

/** What a new subnet must not overlap: other networks, and what the hosts themselves use. */
const occupiedBlocks = (view: View, exceptId: string, options: InTheWay): Occupied[] => {
  const occupied: Occupied[] = []
  for (const network of view.list('network')) {
    if (network.ID === exceptId) continue
    // Each node's own networks are none of the cluster's addresses.
    const isAsked = options.withRequested && !isNodeLocal(network)
    const requested = isAsked ? network.Spec.IPAMOptions.Configs : []
    const configs = [...network.IPAMOptions.Configs, ...requested]
    for (const block of configs.flatMap(({ Subnet }) => parseCidr(Subnet ?? '') ?? []))
      occupied.push({ block, owner: `network ${network.Spec.Name}`, isOfNode: false })
  }
  for (const node of view.list('node')) occupied.push(...occupiedByNode(node))
  const ending = options.withEnding ? endingNetworks(view) : []
  for (const block of ending.flatMap((network) => subnetOf(network) ?? []))
    occupied.push({ block, owner: ENDING_NETWORK, isOfNode: false })
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

/** What is in the way where no subnet is left, and what helps. It is what nodes say when without that there would be a subnet. */
const noneLeft = (
  pools: readonly Ipv4Block[],
  prefix: number,
  occupied: readonly Occupied[],
): string => {
  const networks = occupied.filter(({ isOfNode }) => !isOfNode)
  if (freeSubnet(pools, prefix, networks, undefined) === undefined) {
    return 'remove networks, or give it one with --subnet'
  }
  const ofNodes = occupied
    .filter(({ block, isOfNode }) => isOfNode && pools.some((pool) => overlaps(pool, block)))
    .sort((a, b) => a.block.prefix - b.block.prefix)
  const named = ofNodes
    .slice(0, NAMED_MAX)
    .map(({ block, owner }) => `${formatCidr(block)}, ${owner}`)
    .join('; ')
  const more = ofNodes.length > NAMED_MAX ? ` (and ${ofNodes.length - NAMED_MAX} more)` : ''
  return `in the way is ${named}${more}: remove the route or the node, or give the network a subnet elsewhere with --subnet`
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
  const poolTexts = cluster?.DefaultAddrPool ?? DEFAULT_ADDR_POOL
  const pools = poolTexts.flatMap((pool) => parseCidr(pool) ?? [])
  const size = cluster?.SubnetSize ?? DEFAULT_SUBNET_SIZE
  const occupied = occupiedBlocks(view, network.ID, { withRequested: true, withEnding: true })
  const last = parseCidr(cluster?.Swarmctl.LastNetwork?.Subnet ?? '')
  const subnet = requested ?? freeSubnet(pools, size, occupied, last)
  if (subnet === undefined) {
    const reason = noneLeft(pools, size, occupied)
    return blocked(
      `${name}: no free subnet is left in the address pool ${poolTexts.join(', ')}: ${reason}`,
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
