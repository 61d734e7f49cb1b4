// A table of LevelDB: blocks of data and one of filters, an index of each kind, and a footer that says where the two indexes are.

import { DecodeError, sameBytes } from './bytes.ts'
import { hasSum, LevelReader, u32At } from './level-reader.ts'

const FOOTER_BYTES = 48
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb)
/** Behind each block: how it is compressed, and its sum. */
const TYPE_BYTES = 1
const SUM_BYTES = 4
const UNCOMPRESSED = 0

/** Throws DecodeError when anything in a table is not what LevelDB wrote. */
export function checkTable(table: Uint8Array): void {
  if (table.length < FOOTER_BYTES) throw new DecodeError('a table has no footer')
  const footer = table.subarray(-FOOTER_BYTES)
  if (!sameBytes(footer.subarray(-MAGIC.length), MAGIC)) throw new DecodeError('it is no table')
  const handles = new LevelReader(footer)
  for (const _index of ['filters', 'data']) {
    for (const block of handlesIn(blockAt(table, handles))) blockAt(table, block)
  }
}

/** A block with its type, by what says where it is and how long. */
function blockAt(table: Uint8Array, handle: LevelReader): Uint8Array {
  const [offset, bytes] = [handle.number(), handle.number()]
  const reader = new LevelReader(table)
  reader.take(offset)
  const block = reader.take(bytes + TYPE_BYTES)
  if (!hasSum(block, u32At(reader.take(SUM_BYTES), 0)))
    throw new DecodeError(`the sum of the block at ${offset} is wrong`)
  return block
}

/** What an index says of where blocks are. */
function handlesIn(index: Uint8Array): LevelReader[] {
  // Here nothing is compressed. What is, LevelDB looks at itself.
  if (index.at(-1) !== UNCOMPRESSED) return []
  const content = index.subarray(0, -TYPE_BYTES)
  // Behind the entries: where every few of them begin, and how many such places there are.
  const restarts = u32At(content, content.length - 4)
  const entries = new LevelReader(content.subarray(0, content.length - 4 * (restarts + 1)))
  const handles: LevelReader[] = []
  while (!entries.isAtEnd) {
    // The length of what a key shares with the one before, of the rest, and of the value.
    const [_shared, rest, bytes] = [entries.number(), entries.number(), entries.number()]
    entries.take(rest)
    handles.push(new LevelReader(entries.take(bytes)))
  }
  return handles
}
