import { containsAddress, type Ipv4Block, parseCidr, parseIpv4 } from '../api/ipv4.ts'
import { formatIpv6, formatIpv6Cidr, type Ipv6Block, parseIpv6Cidr } from '../api/ipv6.ts'
import { canMirror, mirrorAddress, mirrorBlock } from '../api/ipv6-mirror.ts'

/** A network as far as it says whether it has IPv6. */
interface MaybeDual {
  id: string
  subnet: string
  subnet6?: string | undefined
}

/** The subnets of a network with IPv6. */
export interface DualSubnets {
  subnet: Ipv4Block
  subnet6: Ipv6Block
}

/** Undefined when the network has no IPv6, or none that its addresses fit into. */
export const dualSubnets = (network: MaybeDual): DualSubnets | undefined => {
  const subnet6 = parseIpv6Cidr(network.subnet6 ?? '')
  const subnet = parseCidr(network.subnet)
  if (subnet === undefined || subnet6 === undefined || !canMirror(subnet6, subnet)) return undefined
  return { subnet, subnet6 }
}

/** The twin of an address that lies in the network's subnet, as text. */
export const twinAddress = ({ subnet6 }: DualSubnets, addr: string): string | undefined => {
  const address = parseIpv4(addr)
  return address === undefined ? undefined : formatIpv6(mirrorAddress(subnet6, address))
}

/** The twin of a part of the network's subnet, as text. */
export const twinCidr = ({ subnet6 }: DualSubnets, block: Ipv4Block): string =>
  formatIpv6Cidr(mirrorBlock(subnet6, block))

/** A twin and the network that it is on. */
interface Twin {
  networkId: string
  addr: string
}

/** Finds the twins of addresses of any network. The subnets don't overlap. */
export class Twins {
  /** In order of their subnets. */
  readonly #networks: (DualSubnets & { id: string })[]

  constructor(networks: Iterable<MaybeDual>) {
    this.#networks = [...networks]
      .flatMap((network) => {
        const subnets = dualSubnets(network)
        return subnets === undefined ? [] : [{ ...subnets, id: network.id }]
      })
      .sort((a, b) => a.subnet.first - b.subnet.first)
  }

  of(addr: string): Twin | undefined {
    const address = parseIpv4(addr)
    if (address === undefined) return undefined
    const network = this.#lastFrom(address)
    if (network === undefined || !containsAddress(network.subnet, address)) return undefined
    return { networkId: network.id, addr: formatIpv6(mirrorAddress(network.subnet6, address)) }
  }

  /** The last network whose subnet begins at the address or before it. */
  #lastFrom(address: number): (DualSubnets & { id: string }) | undefined {
    let low = 0
    let high = this.#networks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#networks[middle]?.subnet.first ?? 0) <= address) low = middle + 1
      else high = middle
    }
    return this.#networks[low - 1]
  }

  /** Those that have one. */
  all(addrs: Iterable<string>): string[] {
    return [...addrs].flatMap((addr) => this.of(addr)?.addr ?? [])
  }
}
