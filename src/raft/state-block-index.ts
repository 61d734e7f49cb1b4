// Where in the row of blocks each key's value is, and which blocks are worth writing anew.

import { assert } from './assert.ts'
import { type BlockEntry, sizeOf } from './state-block.ts'

/** Less waste than this is never worth a rewrite. */
const WASTE_BYTES_MIN = 1024 * 1024
/**
 * What a block costs besides its entries: a seal, a record, a read at the start. It counts as waste, so that the many small blocks of an idle
 * cluster become few. Far below what a block holds, or full ones would be written anew for nothing.
 */
const BLOCK_COST_BYTES = 4 * 1024

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
  /** Bytes of its entries, and what it costs itself. */
  readonly #costs = new Map<number, number>()
  readonly #homes = new Map<string, Home>()
  #cost = 0
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
    let cost = BLOCK_COST_BYTES
    for (const entry of entries) {
      const size = sizeOf(entry)
      cost += size
      this.#settle(entry, size)
    }
    this.#costs.set(this.#next, cost)
    this.#cost += cost
    this.#next += 1
  }

  /** Whether a block holds a key's newest value. */
  isHome(key: string, block: number): boolean {
    return this.#homes.get(key)?.block === block
  }

  /** The oldest blocks that are to be written anew: as many as more than half of all is waste, up to what they cost. */
  wastefulBlocks(costMax: number): number[] {
    const blocks: number[] = []
    const costMin = Math.max(2 * this.#liveBytes + WASTE_BYTES_MIN, this.#cost - costMax)
    let left = this.#cost
    for (let block = this.#first; block < this.#next && left > costMin; block += 1) {
      blocks.push(block)
      left -= this.#costs.get(block) ?? 0
    }
    return blocks
  }

  /** The oldest block is gone; what counted in it was added again. */
  dropFirst(): void {
    const cost = this.#costs.get(this.#first)
    assert(cost !== undefined, 'there is no block to drop')
    this.#costs.delete(this.#first)
    this.#cost -= cost
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
