import { overlaps, parseCidr } from '../api/ipv4.ts'
import { overlapsIpv6, parseIpv6Cidr } from '../api/ipv6.ts'
import type { OverlayNetwork } from '../api/overlay-view.ts'

/** What must not travel in plain, as CIDRs. */
export interface EncryptedSubnets {
  ipv4: string[]
  ipv6: string[]
}

interface Served {
  id: string
  subnet: string
  encrypted: boolean
  ipv6: { subnet: string } | null
}

const withoutOverlaps = <Block extends object>(
  served: readonly string[],
  more: readonly string[],
  parse: (cidr: string) => Block | undefined,
  overlap: (a: Block, b: Block) => boolean,
): string[] => {
  const taken = served.flatMap((cidr) => parse(cidr) ?? [])
  return more.filter((cidr) => {
    const block = parse(cidr)
    if (block === undefined || taken.some((one) => overlap(one, block))) return false
    taken.push(block)
    return true
  })
}

/**
 * The subnets of the encrypted networks that a node serves, and of those that only its containers are still (or already) on: a network
 * may go while its last tasks stop. Such a one has no route, and what its containers send would follow the host's default route. A subnet
 * that another network was given meanwhile is that one's. Pure.
 */
export const encryptedSubnets = (
  served: readonly Served[],
  attached: readonly OverlayNetwork[],
): EncryptedSubnets => {
  const ids = new Set(served.map(({ id }) => id))
  const others = attached.filter(({ id, encrypted }) => encrypted && !ids.has(id))
  const own = served.filter(({ encrypted }) => encrypted)
  return {
    ipv4: [
      ...own.map(({ subnet }) => subnet),
      ...withoutOverlaps(
        served.map(({ subnet }) => subnet),
        others.map(({ subnet }) => subnet),
        parseCidr,
        overlaps,
      ),
    ],
    ipv6: [
      ...own.flatMap(({ ipv6 }) => ipv6?.subnet ?? []),
      ...withoutOverlaps(
        served.flatMap(({ ipv6 }) => ipv6?.subnet ?? []),
        others.flatMap(({ subnet6 }) => subnet6 ?? []),
        parseIpv6Cidr,
        overlapsIpv6,
      ),
    ],
  }
}
