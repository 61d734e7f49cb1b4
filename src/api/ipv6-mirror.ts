import { blockSize, type Ipv4Block } from './ipv4.ts'
import type { Ipv6Block } from './ipv6.ts'

/**
 * In a network with IPv6 each address has a twin: the IPv6 subnet, with the IPv4 address in its low 32 bits (fewer in a smaller
 * subnet). So whoever knows one knows the other, and nobody has to keep it.
 */

const IPV6_BITS = 128
const IPV4_BITS = 32

/** Whether every address of the IPv4 subnet has a twin of its own. */
export const canMirror = (subnet6: Ipv6Block, subnet: Ipv4Block): boolean =>
  IPV6_BITS - subnet6.prefix >= IPV4_BITS - subnet.prefix

/** Values of the low bits in which twins differ. */
const roomOf = ({ prefix }: Ipv6Block): number => 2 ** Math.min(IPV4_BITS, IPV6_BITS - prefix)

/** The twin of an IPv4 address. */
export const mirrorAddress = (subnet6: Ipv6Block, address: number): bigint =>
  subnet6.first + BigInt(address % roomOf(subnet6))

/** The twins of a part of the IPv4 subnet. */
export const mirrorBlock = (subnet6: Ipv6Block, block: Ipv4Block): Ipv6Block => ({
  first: mirrorAddress(subnet6, block.first),
  prefix: block.prefix + IPV6_BITS - IPV4_BITS,
})

/** The IPv4 address in the subnet whose twin this is; undefined when it is none's. */
export const mirroredAddress = (
  subnet6: Ipv6Block,
  subnet: Ipv4Block,
  address: bigint,
): number | undefined => {
  const low = address - subnet6.first
  if (low < 0n || low >= BigInt(roomOf(subnet6))) return undefined
  const within = Number(low) % blockSize(subnet.prefix)
  const candidate = subnet.first + within
  return mirrorAddress(subnet6, candidate) === address ? candidate : undefined
}
