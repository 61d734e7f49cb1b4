/** IPv6 arithmetic on unsigned 128-bit numbers. */

/** A network as its first address and prefix length. */
export interface Ipv6Block {
  first: bigint
  prefix: number
}

const GROUPS = 8
const GROUP_BITS = 16n
const GROUP_DIGITS = 4

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

/** As RFC 5952 has it, and the kernel prints it: lower case, the first longest run of zeros as `::`. Tables have tens of thousands. */
export const formatIpv6 = (address: bigint): string => {
  const digits = address.toString(16).padStart(GROUPS * GROUP_DIGITS, '0')
  const groups: string[] = []
  let longest = { at: 0, length: 1 }
  let zeros = 0
  for (let at = 0; at < GROUPS; at++) {
    const group = digits.slice(at * GROUP_DIGITS, (at + 1) * GROUP_DIGITS).replace(/^0{1,3}/, '')
    groups.push(group)
    zeros = group === '0' ? zeros + 1 : 0
    if (zeros > longest.length) longest = { at: at + 1 - zeros, length: zeros }
  }
  if (longest.length < 2) return groups.join(':')
  const head = groups.slice(0, longest.at).join(':')
  return `${head}::${groups.slice(longest.at + longest.length).join(':')}`
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
