import { type Ipv4Block, parseCidr } from './ipv4.ts'
import { type Ipv6Block, parseIpv6Cidr } from './ipv6.ts'

/** What a network's IPAM configuration lists: at most one pool of either family is used, in any order. */
interface Pool {
  Subnet?: string | undefined
}

export const ipv4Pool = <T extends Pool>(pools: readonly T[]): T | undefined =>
  pools.find(({ Subnet = '' }) => parseCidr(Subnet) !== undefined)

export const ipv6Pool = <T extends Pool>(pools: readonly T[]): T | undefined =>
  pools.find(({ Subnet = '' }) => parseIpv6Cidr(Subnet) !== undefined)

export const ipv4SubnetOf = (pools: readonly Pool[]): Ipv4Block | undefined =>
  parseCidr(ipv4Pool(pools)?.Subnet ?? '')

export const ipv6SubnetOf = (pools: readonly Pool[]): Ipv6Block | undefined =>
  parseIpv6Cidr(ipv6Pool(pools)?.Subnet ?? '')
