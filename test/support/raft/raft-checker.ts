// What must hold in every run, whatever fails. References are to the figure of the Raft paper's
// safety properties (Fig. 3.2 of the dissertation).

import type { MemoryWalDisk } from '../../../src/raft/memory-wal.ts'

/** A command, and the hash of all that were applied up to it. */
export interface AppliedCommand {
  readonly command: string
  readonly hash: string
  /** The term of the node that applied it, then: it was committed in this one or before. */
  readonly nodeTerm: number
}

interface Committed {
  readonly term: number
  readonly hash: string
  byTerm: number
}

/** Sees everything, and throws at the first thing that must not be. */
export class RaftChecker {
  readonly #leaderOf = new Map<number, string>()
  readonly #committed = new Map<number, Committed>()
  readonly #votes = new Map<string, string>()
  readonly #acknowledged = new Map<string, number>()
  readonly #appliedAt = new Map<string, number>()
  /** The highest index whose proposer got an answer. */
  acknowledgedIndex = 0

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  get termCount(): number {
    return this.#leaderOf.size
  }

  /** Election safety and leader completeness. */
  onLeader(id: string, term: number, disk: MemoryWalDisk): void {
    const known = this.#leaderOf.get(term)
    if (known === id) return
    if (known !== undefined) throw new Error(`${known} and ${id} both lead term ${term}`)
    this.#leaderOf.set(term, id)
    for (const [index, committed] of this.#committed) {
      // A leader of an earlier term may still come, too late to do anything.
      if (index <= disk.base.index || committed.byTerm >= term) continue
      const own = disk.entries[index - disk.base.index - 1]
      if (own?.term !== committed.term) {
        throw new Error(`${id} leads term ${term} without the committed entry ${index}`)
      }
    }
  }

  /** At most one vote per node and term, over all of its lives. */
  onDurable(id: string, disk: MemoryWalDisk): void {
    const { term, vote } = disk.hardState
    if (vote === null) return
    const known = this.#votes.get(`${id} ${term}`)
    if (known !== undefined && known !== vote) {
      throw new Error(`${id} voted for ${known} and ${vote} in term ${term}`)
    }
    this.#votes.set(`${id} ${term}`, vote)
  }

  /** State machine safety: the same entry, and the same state, at the same index everywhere. */
  onApplied(id: string, disk: MemoryWalDisk, index: number, applied: AppliedCommand): void {
    const { command, hash, nodeTerm } = applied
    const term = disk.entries[index - disk.base.index - 1]?.term
    // Otherwise a crash could leave a state that is ahead of the log.
    if (term === undefined) throw new Error(`${id} applied ${index} before it was durable`)
    const known = this.#committed.get(index)
    if (known !== undefined && known.hash !== hash) {
      throw new Error(`${id} applied something else than others at ${index}`)
    }
    const before = this.#appliedAt.get(command)
    if (before !== undefined && before !== index) {
      throw new Error(`${command} was applied at ${before} and again at ${index}`)
    }
    this.#appliedAt.set(command, index)
    if (known === undefined) this.#committed.set(index, { term, hash, byTerm: nodeTerm })
    else known.byTerm = Math.min(known.byTerm, nodeTerm)
  }

  onAcknowledged(command: string, index: number): void {
    if (this.#appliedAt.get(command) !== index) {
      throw new Error(`${command} was acknowledged at ${index} but not applied there`)
    }
    this.#acknowledged.set(command, index)
    this.acknowledgedIndex = Math.max(this.acknowledgedIndex, index)
  }

  /** Nothing that was acknowledged may be missing at the end. */
  checkNothingLost(id: string, applied: ReadonlySet<string>): void {
    for (const [command, index] of this.#acknowledged) {
      if (!applied.has(command)) throw new Error(`${id} lost ${command}, acknowledged at ${index}`)
    }
  }

  /** Log matching: the same index and term mean the same log up to there. */
  checkLogsMatch(disks: ReadonlyMap<string, MemoryWalDisk>): void {
    const all = [...disks]
    for (const [a, first] of all) {
      for (const [b, second] of all) {
        if (a >= b) continue
        checkPair(a, first, b, second)
      }
    }
  }
}

function checkPair(a: string, first: MemoryWalDisk, b: string, second: MemoryWalDisk): void {
  const from = Math.max(first.base.index, second.base.index) + 1
  const at = (disk: MemoryWalDisk, index: number) => disk.entries[index - disk.base.index - 1]
  let mustMatch = false
  for (let index = lastOf(first, second); index >= from; index -= 1) {
    const [one, other] = [at(first, index), at(second, index)]
    if (one === undefined || other === undefined) continue
    if (one.term === other.term) mustMatch = true
    if (mustMatch && !sameBytes(one.bytes, other.bytes)) {
      throw new Error(`the logs of ${a} and ${b} differ at ${index}, before an entry that matches`)
    }
  }
}

function lastOf(first: MemoryWalDisk, second: MemoryWalDisk): number {
  const last = (disk: MemoryWalDisk) => disk.base.index + disk.entries.length
  return Math.min(last(first), last(second))
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
