import { crc32 } from 'node:zlib'
import type { HardState } from '../../../src/raft/core-state.ts'
import type { Entry, LogPosition } from '../../../src/raft/entry.ts'
import { EMPTY_HARD_STATE, type WalBatch, type WalContents } from '../../../src/raft/wal-port.ts'

/** An entry by its place and by a hash of itself and all before it. */
export interface Link {
  readonly index: number
  readonly term: number
  readonly chain: string
}

/** The hash of nothing. */
export const ORIGIN = '0'

const linkAfter = (before: string, entry: Entry): Link => {
  const chain = crc32(entry.bytes, crc32(`${before} ${entry.index} ${entry.term}`)).toString(36)
  return { index: entry.index, term: entry.term, chain }
}

/** What a log holds, without the entries' contents. */
export class LogImage {
  hardState: HardState
  /** Position before the first entry, with the hash up to it. */
  base: Link
  #links: Link[]

  constructor(from?: LogImage) {
    this.hardState = from?.hardState ?? EMPTY_HARD_STATE
    this.base = from?.base ?? { index: 0, term: 0, chain: ORIGIN }
    this.#links = from ? [...from.#links] : []
  }

  get last(): Link {
    return this.#links.at(-1) ?? this.base
  }

  /** Undefined outside the log. */
  at(index: number): Link | undefined {
    if (index === this.base.index) return this.base
    return this.#links[index - this.base.index - 1]
  }

  /** Applies the parts of a batch in the order in which the log writes them; `chainOf` knows the hash at a position. */
  apply(batch: WalBatch, chainOf: (position: LogPosition) => string): Link[] {
    if (batch.hardState !== null) this.hardState = batch.hardState
    if (batch.reset !== null) this.reset({ ...batch.reset, chain: chainOf(batch.reset) })
    return this.append(batch.entries)
  }

  reset(base: Link): void {
    this.base = base
    this.#links = []
  }

  /** Replaces what follows the entry before the first; returns the new links. */
  append(entries: readonly Entry[]): Link[] {
    const first = entries[0]
    if (first === undefined) return []
    const kept = first.index - this.base.index - 1
    if (kept < 0 || kept > this.#links.length) {
      throw new Error(`entry ${first.index} is appended to a log of ${this.last.index}`)
    }
    this.#links.length = kept
    return entries.map((entry) => {
      const link = linkAfter(this.last.chain, entry)
      this.#links.push(link)
      return link
    })
  }

  /** Entries up to an index are no longer needed. */
  trim(index: number): void {
    const base = this.at(Math.min(index, this.last.index))
    if (base === undefined || base === this.base) return
    this.#links = this.#links.slice(base.index - this.base.index)
    this.base = base
  }

  /** Whether what was read from a disk is this log; the disk may have kept entries that are no longer needed. */
  matches(contents: WalContents): boolean {
    const { hardState, base, entries } = contents
    if (hardState.term !== this.hardState.term || hardState.vote !== this.hardState.vote)
      return false
    if (hardState.commit !== this.hardState.commit || base.index > this.base.index) return false
    const end = base.index + entries.length
    if (end !== this.last.index) return false
    let chain = this.base.chain
    for (const entry of entries) {
      if (entry.index <= this.base.index) continue
      const link = linkAfter(chain, entry)
      if (link.chain !== this.at(entry.index)?.chain) return false
      chain = link.chain
    }
    return true
  }

  describe(): string {
    const { term, vote, commit } = this.hardState
    return `term ${term} vote ${vote} commit ${commit} base ${this.base.index} last ${this.last.index}/${this.last.term}`
  }
}
