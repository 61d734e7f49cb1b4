// How a snapshot travels: chunks of bounded size, numbered, each answered with the number that is
// expected next. A lost chunk or answer is repeated, so that a broken connection costs one chunk.

import { ByteReader, ByteWriter } from './bytes.ts'
import type { RaftNodeId } from './membership.ts'
import { decodeMembership, encodeMembership } from './membership-codec.ts'
import type { SnapshotMeta } from './message.ts'

/** One piece of a snapshot. The first holds the {@link SnapshotMeta}, all others keys and values. */
export interface SnapshotChunk {
  readonly kind: 'snapshot-chunk'
  readonly from: RaftNodeId
  readonly to: RaftNodeId
  readonly term: number
  /** Chosen by the leader, different for each transfer. */
  readonly stream: number
  readonly sequence: number
  readonly last: boolean
  /** CRC-32 of the payload. */
  readonly checksum: number
  readonly payload: Uint8Array
}

/** Says which chunk is expected next, or that this transfer is of no use. */
export interface SnapshotAck {
  readonly kind: 'snapshot-ack'
  readonly from: RaftNodeId
  readonly to: RaftNodeId
  readonly term: number
  readonly stream: number
  readonly next: number
  readonly refused: boolean
}

/** The payload of the first chunk. */
export function encodeSnapshotMeta(meta: SnapshotMeta): Uint8Array {
  const writer = new ByteWriter().u64(meta.index).u64(meta.term)
  return writer.blob(encodeMembership(meta.membership)).finish()
}

/** Reads what {@link encodeSnapshotMeta} wrote. */
export function decodeSnapshotMeta(payload: Uint8Array): SnapshotMeta {
  const reader = new ByteReader(payload)
  const [index, term] = [reader.u64(), reader.u64()]
  return { index, term, membership: decodeMembership(reader.blob()) }
}

/** The payload of every other chunk. */
export function encodeStateEntries(
  entries: readonly (readonly [string, Uint8Array])[],
): Uint8Array {
  const writer = new ByteWriter().u32(entries.length)
  for (const [key, value] of entries) writer.text(key).blob(value)
  return writer.finish()
}

/** Reads what {@link encodeStateEntries} wrote; the values are copies. */
export function decodeStateEntries(payload: Uint8Array): [string, Uint8Array][] {
  const reader = new ByteReader(payload)
  const entries: [string, Uint8Array][] = []
  for (let left = reader.u32(); left > 0; left -= 1) {
    const key = reader.text()
    entries.push([key, reader.blob().slice()])
  }
  return entries
}
