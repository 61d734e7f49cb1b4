// What one record of the state database holds: many changes, sealed at once. A cipher and a record for each object cost a
// manager more than applying it.

import { ByteReader, ByteWriter } from './bytes.ts'

/** The tag that a block's predecessor has, if it has none. */
export const NO_TAG: Uint8Array = new Uint8Array(16)

/** A key with its new value, or null: from here on the key has none. */
export type BlockEntry = readonly [key: string, value: Uint8Array | null]

export interface StateBlock {
  /** The seal's tag of the block before it: a lost or replaced block breaks this chain. */
  readonly previousTag: Uint8Array
  readonly entries: readonly BlockEntry[]
}

export function encodeBlock({ previousTag, entries }: StateBlock): Uint8Array {
  let bytes = 0
  for (const entry of entries) bytes += sizeOf(entry)
  const writer = new ByteWriter(bytes + FIXED_BYTES).blob(previousTag).u32(entries.length)
  for (const [key, value] of entries) {
    writer.text(key).bool(value !== null)
    if (value !== null) writer.blob(value)
  }
  return writer.finish()
}

/** Throws DecodeError. Values are views on the given bytes. */
export function decodeBlock(bytes: Uint8Array): StateBlock {
  const reader = new ByteReader(bytes)
  const previousTag = reader.blob()
  const entries: BlockEntry[] = []
  for (let left = reader.u32(); left > 0; left -= 1) {
    const key = reader.text()
    entries.push([key, reader.bool() ? reader.blob() : null])
  }
  return { previousTag, entries }
}

/** Parts entries, in their order, into blocks of about a size; at least one entry each. */
export function splitIntoBlocks(
  entries: readonly BlockEntry[],
  blockBytesMax: number,
): BlockEntry[][] {
  const blocks: BlockEntry[][] = []
  let room = 0
  for (const entry of entries) {
    const bytes = sizeOf(entry)
    if (bytes > room) {
      blocks.push([])
      room = blockBytesMax
    }
    blocks.at(-1)?.push(entry)
    room -= bytes
  }
  return blocks
}

/** About what an entry takes in a block. */
export function sizeOf([key, value]: BlockEntry): number {
  return ENTRY_BYTES + key.length + (value?.length ?? 0)
}

/** Lengths of key and value, and whether there is one. */
const ENTRY_BYTES = 9
/** Tag and number of entries, and what a key takes more in UTF-8. */
const FIXED_BYTES = 256
