import { formatCidr } from '../api/ipv4.ts'
import type { Proc } from '../overlay/proc.ts'

const ROUTES = '/proc/net/route'
/** Columns of the table (proc(5)): device, destination, gateway, …, mask. */
const [DESTINATION, GATEWAY, MASK] = [1, 2, 7]
/** Wider routes say where traffic leaves (a VPN's 0.0.0.0/1), not which network this host is on. */
const PREFIX_MIN = 8
const SUBNETS_MAX = 64

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
    .filter(({ prefix }) => prefix >= PREFIX_MIN)
  return [...new Set(subnets.map(formatCidr))].sort().slice(0, SUBNETS_MAX)
}

/**
 * Keeps them. They are read from /proc and not from the list of interfaces: that list is synchronous and waits for the kernel's lock
 * on network devices, which starting and stopping containers holds for hundreds of milliseconds (seen: the daemon stood still for 0.27 s).
 */
export class HostSubnets {
  readonly #proc: Pick<Proc, 'read'>
  #subnets: string[] = []

  constructor(proc: Pick<Proc, 'read'>) {
    this.#proc = proc
  }

  get current(): string[] {
    return this.#subnets
  }

  async refresh(): Promise<void> {
    this.#subnets = subnetsOfRoutes((await this.#proc.read(ROUTES)) ?? '')
  }
}
