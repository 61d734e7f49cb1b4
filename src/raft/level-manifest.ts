// LevelDB's list of its tables: a log of changes, in records that end at blocks of 32 KiB.

import { DecodeError } from './bytes.ts'
import { hasSum, LevelReader, u32At } from './level-reader.ts'

const BLOCK_BYTES = 32 * 1024
/** Sum, length and type of a record. */
const HEADER_BYTES = 7
/** Records that are whole, and that begin, go on and end one which is longer than a block. */
const [WHOLE, FIRST, LAST] = [1, 2, 4]

/** The parts of a change, by the number that each begins with. */
const [COMPARATOR, COMPACT_POINTER, DELETED, ADDED] = [1, 5, 6, 7]
/** One number each: the log, the next file, the last write, and the log before. */
const NUMBERS = [2, 3, 4, 9]

/**
 * The numbers of the tables in use. What is cut off or damaged ends the list: LevelDB looks at that itself. Throws DecodeError for
 * what it never writes.
 */
export function tablesIn(manifest: Uint8Array): Set<number> {
  const tables = new Set<number>()
  let parts: Uint8Array[] = []
  for (const { type, payload } of recordsIn(manifest)) {
    if (type === WHOLE || type === FIRST) parts = []
    parts.push(payload)
    if (type === WHOLE || type === LAST) apply(new LevelReader(Buffer.concat(parts)), tables)
  }
  return tables
}

function* recordsIn(manifest: Uint8Array): Generator<{ type: number; payload: Uint8Array }> {
  for (let at = 0; at + HEADER_BYTES <= manifest.length; ) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEADER_BYTES) {
      at += left
      continue
    }
    const [low = 0, high = 0, type = 0] = manifest.subarray(at + 4, at + HEADER_BYTES)
    const end = at + HEADER_BYTES + low + 256 * high
    if (end > manifest.length || !hasSum(manifest.subarray(at + 6, end), u32At(manifest, at)))
      return
    yield { type, payload: manifest.subarray(at + HEADER_BYTES, end) }
    at = end
  }
}

function apply(change: LevelReader, tables: Set<number>): void {
  while (!change.isAtEnd) {
    const what = change.number()
    if (what === COMPARATOR) change.text()
    else if (NUMBERS.includes(what)) change.number()
    else if (what === DELETED) tables.delete(numberBehindLevel(change))
    else if (what === COMPACT_POINTER) {
      change.number()
      change.text()
    } else if (what === ADDED) {
      tables.add(numberBehindLevel(change))
      // Its bytes, and the keys that it begins and ends with.
      change.number()
      for (const _key of ['first', 'last']) change.text()
    } else throw new DecodeError(`a change of LevelDB's tables has a part ${what}`)
  }
}

function numberBehindLevel(change: LevelReader): number {
  change.number()
  return change.number()
}
