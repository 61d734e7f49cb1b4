/** IPv6 arithmetic on unsigned 128-bit numbers. */

/** A network as its first address and prefix length. */
export interface Ipv6Block {
  first: bigint
  prefix: number
}

const GROUPS = 8
const GROUP_BITS = 16n

const parseGroups = (text: string): number[] | undefined => {
  if (text === '') return []
  const groups: number[] = []
  for (const part of text.split(':')) {
    if (!/^[\da-f]{1,4}$/i.test(part)) return undefined
    groups.push(Number.parseInt(part, 16))
  }
  return groups
}

/** The number of an address; undefined when `text` is none, or ends in a dotted quad, which no overlay has. */
export const parseIpv6 = (text: string): bigint | undefined => {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(parseGroups)
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  const missing = GROUPS - head.length - (tail?.length ?? 0)
  // `::` stands for one group at least.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...Array<number>(missing).fill(0), ...(tail ?? [])]
  return groups.reduce((value, group) => (value << GROUP_BITS) | BigInt(group), 0n)
}

/** As RFC 5952 has it, and the kernel prints it: lower case, the first longest run of zeros as `::`. */
export const formatIpv6 = (address: bigint): string => {
  const groups = Array.from({ length: GROUPS }, (_, at) =>
    Number((address >> (GROUP_BITS * BigInt(GROUPS - 1 - at))) & 0xffffn),
  )
  let longest = { at: 0, length: 1 }
  for (let at = 0; at < GROUPS; at++) {
    const end = groups.findIndex((group, other) => other >= at && group !== 0)
    const length = (end < 0 ? GROUPS : end) - at
    if (length > longest.length) longest = { at, length }
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  if (longest.length < 2) return text(groups)
  return `${text(groups.slice(0, longest.at))}::${text(groups.slice(longest.at + longest.length))}`
}

const blockSize = (prefix: number): bigint => 1n << BigInt(128 - prefix)

/** `fd00:1::/64` as a block; host bits are cleared. Undefined when it is not IPv6 CIDR. */
export const parseIpv6Cidr = (text: string): Ipv6Block | undefined => {
  const match = /^([\da-f:]+)\/(\d{1,3})$/i.exec(text)
  const address = parseIpv6(match?.[1] ?? '')
  const prefix = Number(match?.[2])
  if (address === undefined || prefix > 128) return undefined
  return { first: address - (address % blockSize(prefix)), prefix }
}

export const formatIpv6Cidr = ({ first, prefix }: Ipv6Block): string =>
  `${formatIpv6(first)}/${prefix}`

export const containsIpv6 = ({ first, prefix }: Ipv6Block, address: bigint): boolean =>
  address >= first && address < first + blockSize(prefix)

export const overlapsIpv6 = (a: Ipv6Block, b: Ipv6Block): boolean =>
  containsIpv6(a, b.first) || containsIpv6(b, a.first)

/** Unique local (RFC 4193) or global unicast: what containers may have. */
export const isUnicast = ({ first, prefix }: Ipv6Block): boolean =>
  [parseIpv6Cidr('fc00::/7'), parseIpv6Cidr('2000::/3')].some(
    (kind) => kind !== undefined && prefix >= kind.prefix && containsIpv6(kind, first),
  )
