import { allocate, ByteReader, DecodeError, writeU64 } from './bytes.ts'

/** kind (1), term (8), index (8), length of the data (4). */
const HEADER_BYTES = 21

/** What an entry is to Raft; the position in the list is its number on the wire and on disk. */
const KINDS = ['noop', 'command', 'membership'] as const

export type EntryKind = (typeof KINDS)[number]

/**
 * One entry of the replicated log. It is encoded once: `bytes` is the same buffer in the leader's
 * own frame, in every message, and in a follower's frame.
 */
export class Entry implements LogPosition {
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  readonly bytes: Uint8Array

  constructor({ index, term }: LogPosition, kind: EntryKind, bytes: Uint8Array) {
    this.index = index
    this.term = term
    this.kind = kind
    this.bytes = bytes
  }

  /** A view on the end of `bytes`, made anew each time: it is asked for once, and the entry stays in memory for others long after. */
  get data(): Uint8Array {
    return this.bytes.subarray(HEADER_BYTES)
  }
}

/** Where a log ends, begins or was cut: an index and the term of the entry there. */
export interface LogPosition {
  readonly index: number
  readonly term: number
}

/** Makes an entry and its encoded form; the data is copied. */
export function createEntry(
  position: LogPosition,
  kind: EntryKind,
  data: Uint8Array = new Uint8Array(0),
): Entry {
  const bytes = allocate(HEADER_BYTES + data.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint8(0, KINDS.indexOf(kind))
  writeU64(view, 1, position.term)
  writeU64(view, 9, position.index)
  view.setUint32(17, data.length)
  bytes.set(data, HEADER_BYTES)
  return new Entry(position, kind, bytes)
}

/** Reads `count` entries that lie one behind the other; they stay views on the given buffer. */
export function decodeEntries(buffer: Uint8Array, count: number): Entry[] {
  const entries: Entry[] = []
  const reader = new ByteReader(buffer)
  for (let i = 0; i < count; i += 1) {
    const start = buffer.length - reader.remaining
    const kind = KINDS[reader.u8()]
    if (kind === undefined) throw new DecodeError('unknown kind of log entry')
    const term = reader.u64()
    const index = reader.u64()
    reader.skip(reader.u32())
    const bytes = buffer.subarray(start, buffer.length - reader.remaining)
    entries.push(new Entry({ index, term }, kind, bytes))
  }
  return entries
}

export function dataBytesOf(entry: Entry): number {
  return entry.bytes.length - HEADER_BYTES
}

/** The bytes that entries take on the wire and in a frame. */
export function sizeOfEntries(entries: readonly Entry[]): number {
  let size = 0
  for (const entry of entries) size += entry.bytes.length
  return size
}
