// Where in the row of blocks each key's value is, and which blocks are worth writing anew.

import { assert } from './assert.ts'
import { type BlockEntry, sizeOf } from './state-block.ts'

/** Less waste than this is never worth a rewrite. */
const WASTE_BYTES_MIN = 1024 * 1024

interface Home {
  readonly block: number
  readonly bytes: number
}

/**
 * The blocks `first` up to, not including, `next`, oldest first. New blocks are added at the end, and room comes back at the beginning
 * alone: what still counts in the oldest block is written once more at the end. A removal in the oldest block has
 * nothing left to remove, so it goes with it.
 */
export class StateBlockIndex {
  #first: number
  #next: number
  readonly #blockBytes = new Map<number, number>()
  readonly #homes = new Map<string, Home>()
  #bytes = 0
  #liveBytes = 0

  constructor(first: number) {
    this.#first = first
    this.#next = first
  }

  get first(): number {
    return this.#first
  }

  get next(): number {
    return this.#next
  }

  /** Keys that have a value. */
  get count(): number {
    return this.#homes.size
  }

  /** Takes the next block. */
  add(entries: readonly BlockEntry[]): void {
    let bytes = 0
    for (const entry of entries) {
      const size = sizeOf(entry)
      bytes += size
      this.#settle(entry, size)
    }
    this.#blockBytes.set(this.#next, bytes)
    this.#bytes += bytes
    this.#next += 1
  }

  /** Whether a block holds a key's newest value. */
  isHome(key: string, block: number): boolean {
    return this.#homes.get(key)?.block === block
  }

  /** The oldest blocks that are to be written anew: as many as more than half of all is waste, up to a number. */
  wastefulBlocks(countMax: number): number[] {
    const blocks: number[] = []
    let left = this.#bytes
    for (let block = this.#first; block < this.#next && blocks.length < countMax; block += 1) {
      if (left <= 2 * this.#liveBytes + WASTE_BYTES_MIN) break
      blocks.push(block)
      left -= this.#blockBytes.get(block) ?? 0
    }
    return blocks
  }

  /** The oldest block is gone; what counted in it was added again. */
  dropFirst(): void {
    const bytes = this.#blockBytes.get(this.#first)
    assert(bytes !== undefined, 'there is no block to drop')
    this.#blockBytes.delete(this.#first)
    this.#bytes -= bytes
    this.#first += 1
  }

  #settle([key, value]: BlockEntry, bytes: number): void {
    this.#liveBytes -= this.#homes.get(key)?.bytes ?? 0
    if (value === null) {
      this.#homes.delete(key)
      return
    }
    this.#homes.set(key, { block: this.#next, bytes })
    this.#liveBytes += bytes
  }
}
