// What the payload of a log frame says, before it is sealed.

import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import type { HardState } from './core-state.ts'
import { decodeEntries, type Entry, type LogPosition, sizeOfEntries } from './entry.ts'

/**
 * `checkpoint` begins each segment, so that older ones can go: the hard state, and where the log ended.
 * `close` only proves, by following it, that the frame before is whole.
 */
export type WalRecord =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'reset'; readonly position: LogPosition }
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'checkpoint'; readonly hardState: HardState; readonly last: LogPosition }
  | { readonly kind: 'close' }

const KINDS: readonly WalRecord['kind'][] = [
  'hard-state',
  'reset',
  'entries',
  'checkpoint',
  'close',
]
const FIXED_BYTES = 160

/** Encodes the records of one frame. */
export function encodeRecords(records: readonly WalRecord[]): Uint8Array {
  let size = FIXED_BYTES
  for (const record of records) {
    size += record.kind === 'entries' ? sizeOfEntries(record.entries) : FIXED_BYTES
  }
  const writer = new ByteWriter(size)
  for (const record of records) {
    writer.u8(KINDS.indexOf(record.kind))
    switch (record.kind) {
      case 'hard-state':
        writeHardState(writer, record.hardState)
        break
      case 'reset':
        writer.u64(record.position.index).u64(record.position.term)
        break
      case 'entries':
        writer.u32(record.entries.length).u32(sizeOfEntries(record.entries))
        for (const entry of record.entries) writer.raw(entry.bytes)
        break
      case 'checkpoint':
        writeHardState(writer, record.hardState)
        writer.u64(record.last.index).u64(record.last.term)
        break
      case 'close':
        break
      default:
        record satisfies never
    }
  }
  return writer.finish()
}

/** Reads what {@link encodeRecords} wrote; throws DecodeError. */
export function decodeRecords(payload: Uint8Array): WalRecord[] {
  const reader = new ByteReader(payload)
  const records: WalRecord[] = []
  while (reader.remaining > 0) records.push(readRecord(reader))
  return records
}

function readRecord(reader: ByteReader): WalRecord {
  const kind = KINDS[reader.u8()]
  switch (kind) {
    case 'hard-state':
      return { kind, hardState: readHardState(reader) }
    case 'reset':
      return { kind, position: { index: reader.u64(), term: reader.u64() } }
    case 'entries': {
      const [count, size] = [reader.u32(), reader.u32()]
      return { kind, entries: decodeEntries(reader.raw(size), count) }
    }
    case 'checkpoint': {
      const hardState = readHardState(reader)
      return { kind, hardState, last: { index: reader.u64(), term: reader.u64() } }
    }
    case 'close':
      return { kind }
    case undefined:
      throw new DecodeError('unknown kind of log record')
    default:
      return kind satisfies never
  }
}

function writeHardState(writer: ByteWriter, hardState: HardState): void {
  writer
    .u64(hardState.term)
    .u64(hardState.commit)
    .bool(hardState.vote !== null)
  if (hardState.vote !== null) writer.text(hardState.vote)
}

function readHardState(reader: ByteReader): HardState {
  const [term, commit] = [reader.u64(), reader.u64()]
  return { term, commit, vote: reader.bool() ? reader.text() : null }
}
