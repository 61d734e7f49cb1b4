// One generation of the stored state: a row of sealed blocks in LevelDB, oldest first, each chained to the one before.

import type { Level } from 'level'
import { assert } from './assert.ts'
import { sameBytes } from './bytes.ts'
import { StorageCorruptError, StorageUnreadableError } from './errors.ts'
import { reading } from './level-error.ts'
import {
  type BlockEntry,
  decodeBlock,
  encodeBlock,
  NO_TAG,
  type StateBlock,
  sizeOf,
  splitIntoBlocks,
} from './state-block.ts'
import { StateBlockIndex } from './state-block-index.ts'
import type { StateEntry, StateView } from './state-port.ts'
import { type StateSeal, tagOf } from './state-seal.ts'

/** About what one block holds: large enough that its seal costs nothing, small enough to read between two messages. */
const BLOCK_BYTES = 128 * 1024
/**
 * What the old blocks cost that one flush writes anew, besides twice what it adds itself: work in proportion, whatever was removed at once, and
 * never less than what makes up for what is added.
 */
const COMPACT_BYTES = 2 * 1024 * 1024
/** Blocks that one read from LevelDB fetches. */
const READ_COUNT = 16

export type Generation = 'a' | 'b'
export type Operation =
  | { type: 'put'; key: string; value: Uint8Array }
  | { type: 'del'; key: string }

/** What has to be stored elsewhere to know that the blocks are all there. */
export interface BlocksMark {
  readonly first: number
  readonly next: number
  /** The tag of the last block. */
  readonly tag: Uint8Array
}

/** What stores entries, and how that is taken note of once it is stored. */
export interface Addition {
  readonly operations: readonly Operation[]
  readonly mark: BlocksMark
  done(): void
}

export interface StateBlocksDeps {
  readonly db: Level<string, Uint8Array>
  readonly seal: StateSeal
  readonly generation: Generation
}

const NEW: BlocksMark = { first: 0, next: 0, tag: NO_TAG }

export class StateBlocks {
  readonly #deps: StateBlocksDeps
  #index: StateBlockIndex
  #mark: BlocksMark

  /** Without a mark it begins empty; with one, `load` has to be first. */
  constructor(deps: StateBlocksDeps, mark: BlocksMark = NEW) {
    this.#deps = deps
    this.#mark = mark
    this.#index = new StateBlockIndex(mark.first)
  }

  get generation(): Generation {
    return this.#deps.generation
  }

  get mark(): BlocksMark {
    return this.#mark
  }

  /** All entries, in the order of their keys. Throws StorageCorruptError when a block is missing or damaged. */
  async load(): Promise<StateEntry[]> {
    const values = new Map<string, Uint8Array>()
    const index = new StateBlockIndex(this.#mark.first)
    let tag: Uint8Array | undefined
    const iterator = this.#deps.db.iterator(rangeOf(this.generation))
    try {
      for (;;) {
        const items = await reading(iterator.nextv(READ_COUNT))
        if (items.length === 0) break
        for (const [key, sealed] of items) {
          const block = this.#open(key, sealed)
          const follows = tag === undefined || sameBytes(block.previousTag, tag)
          if (key !== this.#keyOf(index.next) || !follows) throw missing()
          tag = tagOf(sealed)
          index.add(block.entries)
          for (const [name, value] of block.entries) {
            if (value === null) values.delete(name)
            else values.set(name, value)
          }
        }
      }
    } finally {
      await iterator.close()
    }
    if (index.next !== this.#mark.next || !sameBytes(tag ?? NO_TAG, this.#mark.tag)) throw missing()
    this.#index = index
    return [...values].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Entries with different keys, as new blocks. */
  add(entries: readonly BlockEntry[]): Addition {
    return this.#addition(entries, [])
  }

  /** The same, and what still counts of old blocks when most of all that is stored doesn't. Throws StorageCorruptError. */
  async addCompacting(entries: readonly BlockEntry[]): Promise<Addition> {
    const added = entries.reduce((bytes, entry) => bytes + sizeOf(entry), 0)
    const blocks = this.#index.wastefulBlocks(COMPACT_BYTES + 2 * added)
    if (blocks.length === 0) return this.add(entries)
    const replaced = new Set(entries.map(([key]) => key))
    const kept: BlockEntry[] = []
    for (const block of blocks) {
      const key = this.#keyOf(block)
      const sealed = await reading(this.#deps.db.get(key))
      if (sealed === undefined) throw missing()
      for (const entry of this.#open(key, sealed).entries) {
        const counts = entry[1] !== null && this.#index.isHome(entry[0], block)
        if (counts && !replaced.has(entry[0])) kept.push(entry)
      }
    }
    return this.#addition([...kept, ...entries], blocks)
  }

  /**
   * A view of what is stored now, newest block first: of each key what comes first counts. What another node gets has to be whole as
   * well: a lost block would let older values stand again.
   */
  openEntries(): Pick<StateView, 'next' | 'close'> {
    let { next, tag } = this.#mark
    const { first } = this.#mark
    const iterator = this.#deps.db.iterator({ ...rangeOf(this.generation), reverse: true })
    const seen = new Set<string>()
    let rest: StateEntry[] = []
    const readBlock = async (): Promise<boolean> => {
      const item = await reading(iterator.next())
      if (item === undefined && next === first) return false
      const [key, sealed] = item ?? []
      next -= 1
      if (key !== this.#keyOf(next) || sealed === undefined) throw missing()
      if (!sameBytes(tagOf(sealed), tag)) throw missing()
      const { entries, previousTag } = this.#open(key, sealed)
      tag = previousTag
      rest = []
      for (const [name, value] of entries) {
        if (!seen.has(name) && value !== null) rest.push([name, value])
        seen.add(name)
      }
      return true
    }
    return {
      next: async (bytesMax) => {
        const entries: StateEntry[] = []
        for (let bytes = 0; bytes < bytesMax; ) {
          const entry = rest.pop()
          if (entry === undefined) {
            if (await readBlock()) continue
            break
          }
          entries.push(entry)
          bytes += entry[0].length + entry[1].length
        }
        return entries.length === 0 ? null : entries
      },
      close: () => iterator.close(),
    }
  }

  #addition(entries: readonly BlockEntry[], dropped: readonly number[]): Addition {
    const operations: Operation[] = dropped.map((block) => ({
      type: 'del',
      key: this.#keyOf(block),
    }))
    assert(this.#index.next === this.#mark.next, 'what is stored has to be loaded first')
    let { next, tag } = this.#mark
    const blocks = splitIntoBlocks(entries, BLOCK_BYTES)
    for (const block of blocks) {
      const key = this.#keyOf(next)
      const value = this.#deps.seal.seal(key, encodeBlock({ previousTag: tag, entries: block }))
      operations.push({ type: 'put', key, value })
      next += 1
      tag = tagOf(value)
    }
    const mark = { first: this.#mark.first + dropped.length, next, tag }
    const done = () => {
      for (const block of blocks) this.#index.add(block)
      for (const _ of dropped) this.#index.dropFirst()
      this.#mark = mark
    }
    return { operations, mark, done }
  }

  #open(key: string, sealed: Uint8Array): StateBlock {
    const bytes = this.#deps.seal.open(key, sealed)
    if (bytes === undefined) throw new StorageCorruptError('a block of the state is damaged')
    try {
      return decodeBlock(bytes)
    } catch (cause) {
      throw new StorageUnreadableError('a block of the state', cause)
    }
  }

  #keyOf(block: number): string {
    return this.generation + block.toString(16).padStart(KEY_DIGITS, '0')
  }
}

/** Hexadecimal digits that make the order of the keys the order of the numbers. */
const KEY_DIGITS = 13

/** All keys that begin with the generation's letter. */
export function rangeOf(generation: Generation): { gte: string; lt: string } {
  return { gte: generation, lt: generation === 'a' ? 'b' : 'c' }
}

function missing(): StorageCorruptError {
  return new StorageCorruptError('a block of the state is missing')
}
