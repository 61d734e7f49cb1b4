import assert from 'node:assert/strict'
import { blockSize, formatIpv4, type Ipv4Block, lastAddress } from '../../api/ipv4.ts'
import { addressScope } from '../store/claims.ts'
import type { View } from '../store/view.ts'

/**
 * How addresses are cut from an overlay's subnet (design §8). In `blocks` node N has the N-th /24 and the VIPs the 0-th, so that what other
 * nodes must know of a node is one route; in `flat`, for a user's smaller subnet or own range in it, everything shares one range.
 */

/** From this prefix length on a subnet is too small for a /24 for each node. */
const FLAT_PREFIX_MIN = 17

/** One octet, without 0 and 255. */
export const NODES_MAX = 254

/** A /24 without .0, .1 (the gateway; in the VIPs' block nobody's) and .255. */
export const BLOCK_ADDRESSES_MAX = 253

const BLOCK_SIZE = blockSize(24)

/** First and last address, both included. */
export interface AddressRange {
  first: number
  last: number
  /** Given from the last one down: the low ones are those that stack files name (`ipv4_address: 172.28.5.2`), and other services may be created before the one that names it. */
  isDownward?: boolean
}

/** What addresses are cut from: a network's subnet, and the part of it that a user asked for. */
export interface AddressPool {
  subnet: Ipv4Block
  range?: Ipv4Block
}

export const planOf = ({ subnet, range }: AddressPool): 'blocks' | 'flat' =>
  subnet.prefix < FLAT_PREFIX_MIN && range === undefined ? 'blocks' : 'flat'

/** Everything of the range but the subnet's network and broadcast address. */
const flatRange = ({ subnet, range = subnet }: AddressPool): AddressRange => ({
  first: Math.max(range.first, subnet.first + 1),
  last: Math.min(lastAddress(range), lastAddress(subnet) - 1),
  isDownward: true,
})

const blockRange = (subnet: Ipv4Block, index: number): AddressRange => {
  const first = subnet.first + index * BLOCK_SIZE
  return { first: first + 2, last: first + 1 + BLOCK_ADDRESSES_MAX }
}

/** Where services' virtual addresses come from. */
export const vipRange = (pool: AddressPool): AddressRange =>
  planOf(pool) === 'flat' ? flatRange(pool) : { ...blockRange(pool.subnet, 0), isDownward: true }

/** Where the addresses of a node's tasks come from. */
export const taskRange = (pool: AddressPool, nodeIndex: number): AddressRange => {
  assert(nodeIndex >= 1 && nodeIndex <= NODES_MAX, `node index ${nodeIndex}`)
  return planOf(pool) === 'flat' ? flatRange(pool) : blockRange(pool.subnet, nodeIndex)
}

/** Whether a task may have the address, wherever it runs: outside its node's block, also among the virtual ones, it is routed by itself. */
export const isTaskAddress = (pool: AddressPool, address: number): boolean => {
  const within = (range: AddressRange): boolean => address >= range.first && address <= range.last
  if (planOf(pool) === 'flat') return within(flatRange(pool))
  const index = Math.floor((address - pool.subnet.first) / BLOCK_SIZE)
  return index >= 0 && index <= NODES_MAX && within(blockRange(pool.subnet, index))
}

/** All addresses of a `blocks` plan that tasks may have, for a message. */
export const taskAddresses = ({ subnet }: AddressPool): string =>
  `${formatIpv4(blockRange(subnet, 0).first)} to ${formatIpv4(blockRange(subnet, NODES_MAX).last)}`

/** What tells which numbers are free, and which were used before. */
type Holders = Pick<View, 'claimOwner' | 'releasedOrder'>

/**
 * A free number of a range: one that was never used before the one that has been free for longest, so that what still knows the last
 * holder of an address or port (connections, caches) does not meet its next. Undefined when there is none.
 */
export const freeNumber = (
  view: Holders,
  scope: string,
  range: AddressRange,
  isFree: (owner: string | undefined, number: number) => boolean = (owner) => owner === undefined,
): number | undefined => {
  let oldest: { number: number; order: number } | undefined
  const { first, last, isDownward = false } = range
  for (let at = first; at <= last; at++) {
    const number = isDownward ? last - (at - first) : at
    if (!isFree(view.claimOwner(scope, number), number)) continue
    const order = view.releasedOrder(scope, number)
    if (order === undefined) return number
    if (oldest === undefined || order < oldest.order) oldest = { number, order }
  }
  return oldest?.number
}

/** A free address of a network. */
export const freeAddress = (
  view: Holders,
  networkId: string,
  range: AddressRange,
): number | undefined => freeNumber(view, addressScope(networkId), range)
