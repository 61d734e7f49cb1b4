import { invalid } from './errors.ts'

/** IPv4 arithmetic on unsigned 32-bit numbers. */

/** A network as its first address and prefix length. */
export interface Ipv4Block {
  first: number
  prefix: number
}

/** The number of a dotted quad, or undefined when `text` is none (leading zeros are refused). */
export const parseIpv4 = (text: string): number | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined
    const octet = Number(part)
    if (octet > 255) return undefined
    value = value * 256 + octet
  }
  return value
}

export const formatIpv4 = (address: number): string =>
  [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join('.')

/** How many addresses a block of this prefix length has. */
export const blockSize = (prefix: number): number => 2 ** (32 - prefix)

/** `10.0.3.0/24` as a block; host bits are cleared, as Docker does. Undefined when it is not IPv4 CIDR. */
export const parseCidr = (text: string): Ipv4Block | undefined => {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text)
  if (match === null) return undefined
  const address = parseIpv4(match[1] ?? '')
  const prefix = Number(match[2])
  if (address === undefined || prefix > 32) return undefined
  return { first: address - (address % blockSize(prefix)), prefix }
}

/** As `parseCidr`, for text that a user gave. @throws SwarmctlError INVALID_ARGUMENT */
export const requireCidr = (text: string): Ipv4Block => {
  const block = parseCidr(text)
  if (block === undefined) throw invalid(`invalid IPv4 subnet ${text}: write it as 10.1.0.0/16`)
  return block
}

export const formatCidr = (block: Ipv4Block): string => `${formatIpv4(block.first)}/${block.prefix}`

/** The block's last address. */
export const lastAddress = (block: Ipv4Block): number => block.first + blockSize(block.prefix) - 1

export const overlaps = (a: Ipv4Block, b: Ipv4Block): boolean =>
  a.first <= lastAddress(b) && b.first <= lastAddress(a)

export const containsAddress = (block: Ipv4Block, address: number): boolean =>
  address >= block.first && address <= lastAddress(block)

/** The address of `10.0.3.7/16` or `10.0.3.7`, without its mask; undefined when it is neither. */
export const addressOf = (text: string): number | undefined => {
  const slash = text.indexOf('/')
  return parseIpv4(slash < 0 ? text : text.slice(0, slash))
}
