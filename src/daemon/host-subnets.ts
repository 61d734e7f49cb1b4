import { HOST_SUBNETS_MAX, isHostSubnet } from '../api/host-subnets.ts'
import { formatCidr } from '../api/ipv4.ts'
import { formatIpv6Cidr, type Ipv6Block, isUnicast } from '../api/ipv6.ts'
import type { Proc } from '../overlay/proc.ts'

const ROUTES = '/proc/net/route'
const ROUTES6 = '/proc/net/ipv6_route'
/** Columns of the table (proc(5)): device, destination, gateway, …, mask. */
const [DESTINATION, GATEWAY, MASK] = [1, 2, 7]

/** Addresses in it are hexadecimal, in the byte order of the machine: little-endian on all that we support. */
const readAddress = (hex: string): number => {
  const bytes = Buffer.from(hex, 'hex')
  return bytes.length === 4 ? bytes.readUInt32LE() : 0
}

const prefixOf = (mask: number): number => mask.toString(2).replaceAll('0', '').length

/** IPv4 networks that the host is on, of the kernel's route table: overlay subnets keep off them. */
export const subnetsOfRoutes = (table: string): string[] => {
  const subnets = table
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter((columns) => columns.length > MASK && !columns[0]?.startsWith('sw-'))
    .filter((columns) => readAddress(columns[GATEWAY] as string) === 0)
    .map((columns) => ({
      first: readAddress(columns[DESTINATION] as string),
      prefix: prefixOf(readAddress(columns[MASK] as string)),
    }))
    .filter(isHostSubnet)
  return [...new Set(subnets.map(formatCidr))].sort().slice(0, HOST_SUBNETS_MAX)
}

/** Of an IPv6 route, as hexadecimal digits without colons (net/ipv6/route.c `rt6_seq_show`): destination, its prefix, …, next hop, …, flags, device. */
const [DESTINATION6, PREFIX6, NEXT_HOP6, DEVICE6] = [0, 1, 4, 9]
/** An address of this host or of one neighbour, not a network. */
const HOST_PREFIX = 128

const readIpv6Route = (line: string): (Ipv6Block & { isOwn: boolean }) | undefined => {
  const columns = line.trim().split(/\s+/)
  const first = hexNumber(columns[DESTINATION6])
  const prefix = hexNumber(columns[PREFIX6])
  const nextHop = hexNumber(columns[NEXT_HOP6])
  const device = columns[DEVICE6]
  if (first === undefined || prefix === undefined || device === undefined) return undefined
  const isOwn = nextHop === 0n && device !== 'lo' && !device.startsWith('sw-')
  return { first, prefix: Number(prefix), isOwn }
}

const hexNumber = (digits: string | undefined): bigint | undefined =>
  /^[\da-f]+$/i.test(digits ?? '') ? BigInt(`0x${digits}`) : undefined

/** IPv6 networks that the host is on, without what each link has (fe80::/64) and groups. */
export const subnetsOfIpv6Routes = (table: string): string[] => {
  const subnets = table
    .split('\n')
    .flatMap((line) => readIpv6Route(line) ?? [])
    .filter((route) => isHostSubnet(route) && route.prefix < HOST_PREFIX)
    .filter((route) => route.isOwn && isUnicast(route))
  return [...new Set(subnets.map(formatIpv6Cidr))].sort().slice(0, HOST_SUBNETS_MAX)
}

/**
 * Keeps them. They are read from /proc and not from the list of interfaces: that list is synchronous and waits for the kernel's lock
 * on network devices, which starting and stopping containers holds for hundreds of milliseconds (seen: the daemon stood still for 0.27 s).
 */
export class HostSubnets {
  readonly #proc: Pick<Proc, 'read'>
  #subnets: string[] = []
  #subnets6: string[] = []

  constructor(proc: Pick<Proc, 'read'>) {
    this.#proc = proc
  }

  get current(): string[] {
    return this.#subnets
  }

  get current6(): string[] {
    return this.#subnets6
  }

  async refresh(): Promise<void> {
    this.#subnets = subnetsOfRoutes((await this.#proc.read(ROUTES)) ?? '')
    this.#subnets6 = subnetsOfIpv6Routes((await this.#proc.read(ROUTES6)) ?? '')
  }
}
