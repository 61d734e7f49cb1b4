import { assert } from './assert.ts'
import { type Entry, type LogPosition, sizeOfEntries } from './entry.ts'

/** Times `keepBytesMax` that the log may grow to for followers that get a snapshot. Beyond it they need another one: memory has an end. */
export const HELD_FACTOR = 4

/** What compaction may take: entries up to `to`, as long as more than this stays behind. */
export interface CompactionLimits {
  readonly to: number
  /** What follows it is kept for followers that get a snapshot. */
  readonly heldTo: number
  readonly keepEntriesMax: number
  readonly keepBytesMax: number
}

/**
 * The log in memory: the entries after `base` (what was compacted or came as a snapshot), and how
 * far they are persisted, committed and applied. Always applied <= committed, applied <=
 * persisted, and nothing at or below `committed` is ever truncated.
 */
export class RaftLog {
  #base: LogPosition
  #entries: Entry[]
  #committed: number
  #applied: number
  #persisted: number
  #handedOut: number
  #bytes: number

  /** Everything in `entries` is durable; `applied` is what the state already contains. */
  constructor(base: LogPosition, entries: readonly Entry[], committed: number, applied: number) {
    this.#base = base
    this.#entries = [...entries]
    this.#applied = applied
    this.#committed = Math.max(committed, applied)
    this.#persisted = this.lastIndex
    this.#handedOut = this.lastIndex
    this.#bytes = sizeOfEntries(entries)
    assert(this.#committed <= this.lastIndex, 'the log ends before what was committed')
    assert(applied >= base.index, 'the state is older than the begin of the log')
  }

  get base(): LogPosition {
    return this.#base
  }

  /** The first index that is still here, or would be. */
  get firstIndex(): number {
    return this.#base.index + 1
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length
  }

  get last(): LogPosition {
    return this.#entries.at(-1) ?? this.#base
  }

  get committed(): number {
    return this.#committed
  }

  get applied(): number {
    return this.#applied
  }

  get persisted(): number {
    return this.#persisted
  }

  /** The entry at an index, or undefined outside the log. */
  at(index: number): Entry | undefined {
    return this.#entries[index - this.firstIndex]
  }

  /** The term at an index; undefined when it was compacted or is not there yet. */
  termAt(index: number): number | undefined {
    return index === this.#base.index ? this.#base.term : this.at(index)?.term
  }

  matches(index: number, term: number): boolean {
    return this.termAt(index) === term
  }

  /** Whether a candidate's log is at least as new as this one (§3.6.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const own = this.last
    return lastTerm > own.term || (lastTerm === own.term && lastIndex >= own.index)
  }

  /** Entries from an index on, at least one if there is any, then up to a number of bytes. */
  slice(from: number, bytesMax: number, to: number = this.lastIndex): Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let index = from; index <= to; index += 1) {
      const entry = this.at(index)
      assert(entry !== undefined, `entry ${index} is not in the log`)
      bytes += entry.bytes.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    return found
  }

  /** Adds what the leader itself proposed. */
  appendOwn(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, 'a proposed entry leaves a gap')
      this.#entries.push(entry)
      this.#bytes += entry.bytes.length
    }
  }

  /**
   * Adds what the leader sent after a matching previous entry. Entries already here stay: an old
   * message must not cut off what came later (§3.5). Only a real conflict of terms truncates.
   */
  appendReceived(entries: readonly Entry[]): void {
    const from = entries.findIndex((entry) => !this.matches(entry.index, entry.term))
    if (from === -1) return
    const first = entries[from]
    assert(first !== undefined && first.index > this.#committed, 'a committed entry was to change')
    if (first.index <= this.lastIndex) this.#truncateAfter(first.index - 1)
    this.appendOwn(entries.slice(from))
  }

  /** The highest index <= `index` at which this log's term is <= `term`: one probe per term, not per entry. */
  findConflict(index: number, term: number): { index: number; term: number } {
    for (let at = Math.min(index, this.lastIndex); at > this.#base.index; at -= 1) {
      const own = this.termAt(at)
      if (own !== undefined && own <= term) return { index: at, term: own }
    }
    return { index: Math.min(index, this.#base.index), term: this.termAt(index) ?? this.#base.term }
  }

  /** Raises the commit index; it never falls, and never passes the end. */
  commitTo(index: number): boolean {
    if (index <= this.#committed) return false
    assert(index <= this.lastIndex, 'committed an entry that is not in the log')
    this.#committed = index
    return true
  }

  /** Whether something is committed and durable here but not applied yet. */
  get hasToApply(): boolean {
    return this.#durablyCommitted > this.#applied
  }

  /** What is committed and durable here but not applied yet, up to a number of bytes. */
  toApply(bytesMax: number): Entry[] {
    const to = this.#durablyCommitted
    return to <= this.#applied ? [] : this.slice(this.#applied + 1, bytesMax, to)
  }

  appliedTo(index: number): void {
    assert(
      index >= this.#applied && index <= this.#committed,
      'applied outside of the committed log',
    )
    this.#applied = index
  }

  /** Whether a committed entry that was not applied yet changes the membership. */
  hasUnappliedMembership(): boolean {
    for (let index = this.#applied + 1; index <= this.#committed; index += 1) {
      if (this.at(index)?.kind === 'membership') return true
    }
    return false
  }

  /** Entries that the storage was not given yet; they count as given from now on. */
  takeUnpersisted(): Entry[] {
    const entries = this.#entries.slice(this.#handedOut - this.#base.index)
    this.#handedOut = this.lastIndex
    return entries
  }

  get hasUnpersisted(): boolean {
    return this.#handedOut < this.lastIndex
  }

  /** The storage holds this log up to a position. What was overwritten meanwhile no longer matches and is ignored. */
  persistedTo(position: LogPosition): boolean {
    if (position.index <= this.#persisted || !this.matches(position.index, position.term))
      return false
    this.#persisted = position.index
    return true
  }

  /** The index up to which the log may be forgotten, keeping entries for followers that are a little behind. */
  compactionIndex(limits: CompactionLimits): number {
    let bytes = this.#bytes
    let index = this.#base.index
    const isHeld = bytes <= HELD_FACTOR * limits.keepBytesMax
    const to = isHeld ? Math.min(limits.to, limits.heldTo) : limits.to
    while (index < to) {
      const entry = this.at(index + 1)
      const isOld = this.lastIndex - index > limits.keepEntriesMax
      if (entry === undefined || (!isOld && bytes <= limits.keepBytesMax)) break
      bytes -= entry.bytes.length
      index += 1
    }
    return index
  }

  /** Forgets entries up to an applied index; followers that still need them get a snapshot. */
  compactTo(index: number): void {
    if (index <= this.#base.index) return
    assert(index <= this.#applied, 'compacted what was not applied')
    const term = this.termAt(index)
    assert(term !== undefined, 'compacted beyond the end')
    this.#bytes -= sizeOfEntries(this.#entries.splice(0, index - this.#base.index))
    this.#base = { index, term }
  }

  /** Replaces everything by a snapshot that the storage already holds. */
  restore(position: LogPosition): void {
    assert(position.index > this.#committed, 'a snapshot would undo committed entries')
    this.#base = { index: position.index, term: position.term }
    this.#entries = []
    this.#bytes = 0
    this.#committed = position.index
    this.#applied = position.index
    this.#persisted = position.index
    this.#handedOut = position.index
  }

  get #durablyCommitted(): number {
    return Math.min(this.#committed, this.#persisted)
  }

  #truncateAfter(index: number): void {
    this.#bytes -= sizeOfEntries(this.#entries.splice(index - this.#base.index))
    this.#persisted = Math.min(this.#persisted, index)
    this.#handedOut = Math.min(this.#handedOut, index)
  }
}
