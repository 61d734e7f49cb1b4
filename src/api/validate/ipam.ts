import { invalid } from '../errors.ts'
import {
  containsAddress,
  formatCidr,
  type Ipv4Block,
  lastAddress,
  parseCidr,
  parseIpv4,
} from '../ipv4.ts'
import { formatIpv6Cidr, isUnicast, parseIpv6Cidr } from '../ipv6.ts'
import { canMirror } from '../ipv6-mirror.ts'
import type { NetworkCreate } from '../network.ts'

/**
 * The smallest subnet that is of use: a gateway per node, an address per task, a VIP per service. Docker's own minimum is the same.
 */
const PREFIX_MAX = 29
const PREFIX_MIN = 8

type Pool = NonNullable<NonNullable<NetworkCreate['IPAM']>['Config']>[number]

/** What of the configuration has no effect, one line each. @throws SwarmctlError INVALID_ARGUMENT */
export const requireIpam = (request: NetworkCreate): string[] => {
  const { IPAM: ipam } = request
  if (ipam?.Driver && ipam.Driver !== 'default') {
    throw invalid(`invalid IPAM driver ${ipam.Driver}: only the default one is supported`)
  }
  const pools = ipam?.Config ?? []
  if (pools.some(({ Subnet }) => Subnet === undefined)) {
    throw invalid('ipam configuration: subnet must be provided')
  }
  const ipv6 = pools.filter(({ Subnet = '' }) => parseIpv6Cidr(Subnet) !== undefined)
  const [pool, ...more] = pools.filter((one) => !ipv6.includes(one))
  if (more.length > 0) throw invalid('an overlay network has one IPv4 subnet')
  const unused = pool === undefined ? [] : requireIpv4(pool)
  const subnet = parseCidr(pool?.Subnet ?? '')
  return [...unused, ...requireIpv6(ipv6, subnet, request.EnableIPv6 === true)]
}

const requireIpv4 = (pool: Pool): string[] => {
  const subnet = requireSubnet(pool.Subnet ?? '')
  if (pool.IPRange) requireRange(subnet, pool.IPRange)
  const unused: string[] = []
  // Swarm drops them without a word.
  if (Object.keys(pool.AuxiliaryAddresses ?? {}).length > 0) {
    unused.push(
      'auxiliary addresses are not kept free, as with Swarm; choose an IP range without them',
    )
  }
  if (pool.Gateway) {
    const gateway = parseIpv4(pool.Gateway)
    if (gateway === undefined) {
      throw invalid(`ipam configuration: invalid gateway ${pool.Gateway}`)
    }
    if (!containsAddress(subnet, gateway)) {
      throw invalid(
        `ipam configuration: subnet ${pool.Subnet} does not contain gateway ${pool.Gateway}`,
      )
    }
    unused.push(`each node has its own gateway, ${pool.Gateway} is unused`)
  }
  return unused
}

/** `subnet`: the IPv4 one, if it was given. */
const requireIpv6 = (
  pools: readonly Pool[],
  subnet: Ipv4Block | undefined,
  isEnabled: boolean,
): string[] => {
  const [pool, ...more] = pools
  if (pool === undefined) return []
  const block = parseIpv6Cidr(pool.Subnet ?? '')
  if (block === undefined || !isUnicast(block)) {
    throw invalid(
      `ipam configuration: subnet ${pool.Subnet} must be of unique local (fd00::/8) or global addresses`,
    )
  }
  // Without one of the user's it comes from the cluster's pools, whose networks may be as wide as a /8.
  if (!canMirror(block, subnet ?? { first: 0, prefix: PREFIX_MIN })) {
    throw invalid(
      subnet === undefined
        ? `ipam configuration: subnet ${formatIpv6Cidr(block)} must be a /${96 + PREFIX_MIN} or wider, or come with an IPv4 subnet that is no wider`
        : `ipam configuration: subnet ${formatIpv6Cidr(block)} must be as wide as ${formatCidr(subnet)}: a /${96 + subnet.prefix} or wider`,
    )
  }
  if (!isEnabled) return [`subnet ${pool.Subnet} is unused without IPv6 (--ipv6)`]
  return [
    ...more.map(({ Subnet }) => `one IPv6 subnet is enough, ${Subnet} is unused`),
    ...(pool.IPRange ? [`IPv6 addresses follow the IPv4 ones, ${pool.IPRange} is unused`] : []),
    ...(pool.Gateway ? [`each node has its own gateway, ${pool.Gateway} is unused`] : []),
  ]
}

/** Every node with tasks, every task and every service takes one address of it. */
const requireRange = (subnet: Ipv4Block, text: string): void => {
  const range = parseCidr(text)
  if (range === undefined) throw invalid(`ipam configuration: invalid IP range ${text}`)
  if (!containsAddress(subnet, range.first) || !containsAddress(subnet, lastAddress(range))) {
    throw invalid(
      `ipam configuration: subnet ${formatCidr(subnet)} does not contain IP range ${formatCidr(range)}`,
    )
  }
  if (range.prefix > PREFIX_MAX) {
    throw invalid(
      `ipam configuration: IP range ${formatCidr(range)} must be at least a /${PREFIX_MAX}`,
    )
  }
}

const requireSubnet = (text: string): Ipv4Block => {
  const subnet = parseCidr(text)
  if (subnet === undefined) throw invalid(`invalid subnet ${text} : invalid CIDR address: ${text}`)
  if (subnet.prefix > PREFIX_MAX || subnet.prefix < PREFIX_MIN) {
    throw invalid(
      `ipam configuration: subnet ${formatCidr(subnet)} must be from /${PREFIX_MIN} to /${PREFIX_MAX}`,
    )
  }
  return subnet
}
