import { isHostSubnet } from '../../api/host-subnets.ts'
import { ipv6SubnetOf } from '../../api/ipam-pools.ts'
import { formatCidr, type Ipv4Block } from '../../api/ipv4.ts'
import { formatIpv6Cidr, type Ipv6Block, overlapsIpv6, parseIpv6Cidr } from '../../api/ipv6.ts'
import { canMirror } from '../../api/ipv6-mirror.ts'
import type { Network } from '../../api/network.ts'
import { isNodeLocal } from '../../api/node-local-network.ts'
import type { View } from '../store/view.ts'
import { ENDING_NETWORK, endingNetworks } from './ending-networks.ts'

/** First octet of locally assigned unique local addresses; then come 40 bits of the site's own and 16 of a subnet (RFC 4193 §3.1). */
const LOCALLY_ASSIGNED = 0xfdn
const GLOBAL_ID_BITS = 40
const SITE_PREFIX = 48
const SUBNET_PREFIX = 64

/** Digits of an id, which is a random number to the base 36 (api/id.ts). */
const BASE = 36

/** What networks get that ask for IPv6 and name no subnet: the same on every manager, another for each cluster. */
export const sitePrefix = (clusterId: string): Ipv6Block => {
  const digits = [...clusterId].map((digit) => BigInt(Number.parseInt(digit, BASE)))
  const random = digits.reduce((value, digit) => value * BigInt(BASE) + digit, 0n)
  const globalId = BigInt.asUintN(GLOBAL_ID_BITS, random)
  return { first: ((LOCALLY_ASSIGNED << 40n) | globalId) << 80n, prefix: SITE_PREFIX }
}

/** The site's subnet number `index`, which only one network of the cluster has. */
const siteSubnet = (clusterId: string, index: number): Ipv6Block => ({
  first: sitePrefix(clusterId).first | (BigInt(index) << 64n),
  prefix: SUBNET_PREFIX,
})

/** What the IPv6 subnet that a user asks for of a new network overlaps, in words; undefined when it is free, or soon will be. */
export const ipv6Conflict = (
  view: Pick<View, 'list' | 'cluster'>,
  subnet: Ipv6Block,
  exceptId: string,
): string | undefined => {
  const site = sitePrefix(view.cluster()?.ID ?? '')
  if (overlapsIpv6(site, subnet)) {
    return `subnet ${formatIpv6Cidr(subnet)} overlaps ${formatIpv6Cidr(site)}, which networks without a subnet of their own get theirs from`
  }
  for (const network of view.list('network')) {
    const { ID, Spec, IPAMOptions } = network
    if (ID === exceptId || !Spec.IPv6Enabled || isNodeLocal(network)) continue
    const others = [ipv6SubnetOf(IPAMOptions.Configs), ipv6SubnetOf(Spec.IPAMOptions.Configs)]
    const other = others.find((one) => one !== undefined && overlapsIpv6(one, subnet))
    if (other === undefined) continue
    return `subnet ${formatIpv6Cidr(subnet)} overlaps ${formatIpv6Cidr(other)}, network ${Spec.Name}`
  }
  for (const { Description } of view.list('node')) {
    const routes = (Description.Swarmctl.HostSubnets6 ?? []).flatMap(
      (text) => parseIpv6Cidr(text) ?? [],
    )
    const route = routes.filter(isHostSubnet).find((one) => overlapsIpv6(one, subnet))
    if (route === undefined) continue
    return `subnet ${formatIpv6Cidr(subnet)} overlaps ${formatIpv6Cidr(route)}, a route of node ${Description.Hostname}`
  }
  return undefined
}

/** The IPv6 subnet of a network that is given its IPv4 one; none unless it asked for IPv6. */
export const allocateIpv6 = (
  view: Pick<View, 'list' | 'get' | 'cluster'>,
  { Spec }: Network,
  given: { index: number; subnet: Ipv4Block },
): { kind: 'subnets'; subnets: Ipv6Block[] } | { kind: 'blocked'; reason: string } => {
  if (!Spec.IPv6Enabled) return { kind: 'subnets', subnets: [] }
  const asked = ipv6SubnetOf(Spec.IPAMOptions.Configs)
  const subnet6 = asked ?? siteSubnet(view.cluster()?.ID ?? '', given.index)
  const left = endingNetworks(view)
    .flatMap(({ IPAMOptions }) => ipv6SubnetOf(IPAMOptions.Configs) ?? [])
    .find((one) => overlapsIpv6(one, subnet6))
  if (left !== undefined) {
    return {
      kind: 'blocked',
      reason: `network ${Spec.Name}: subnet ${formatIpv6Cidr(subnet6)} overlaps ${formatIpv6Cidr(left)}, ${ENDING_NETWORK}`,
    }
  }
  if (canMirror(subnet6, given.subnet)) return { kind: 'subnets', subnets: [subnet6] }
  return {
    kind: 'blocked',
    reason: `network ${Spec.Name}: subnet ${formatIpv6Cidr(subnet6)} has fewer addresses than ${formatCidr(given.subnet)}`,
  }
}
