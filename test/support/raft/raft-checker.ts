// What must hold after every event of every run, whatever fails. References are to the safety properties of
// the Raft paper (figure 3.2 of the dissertation).

import type { RaftStatus } from '../../../src/raft/node-status.ts'
import type { WalBatch } from '../../../src/raft/wal-port.ts'
import { type CheckedWalDisk, chainHash, type DiskObserver } from './checked-wal-disk.ts'
import { ClientChecker } from './client-checker.ts'
import { checkMembershipStep, hasMajority } from './membership-checks.ts'

/** One life of one process: what was last seen of it. */
export interface LifeRecord {
  term: number
  committed: number
  /** Entries up to here were compared with what others committed. */
  compared: number
  /** The outgoing voters while a change is joint; empty as well if its begin was not seen. */
  outgoing: readonly string[]
  status: RaftStatus | undefined
}

export function newLifeRecord(): LifeRecord {
  return { term: 0, committed: 0, compared: 0, outgoing: [], status: undefined }
}

interface Committed {
  readonly term: number
  readonly chain: number | undefined
  /** The lowest term in which a node knew of it: every leader of a later term must have it. */
  byTerm: number
}

/** More terms than a run can have. */
const TERM_FACTOR = 1_000_000

/** Sees everything, and throws at the first thing that must not be. */
export class RaftChecker implements DiskObserver {
  readonly clients = new ClientChecker()
  readonly #leaderOf = new Map<number, string>()
  readonly #votes = new Map<string, string>()
  /** By index. */
  readonly #committed: (Committed | undefined)[] = []
  /** Log matching: the hash of the log up to an (index, term). */
  readonly #chains = new Map<number, number>()
  readonly #disksOf: (id: string) => readonly CheckedWalDisk[]
  #committedMax = 0
  /** What was committed anywhere when a node gave its disk a batch. */
  readonly #committedBefore = new WeakMap<WalBatch, number>()

  /** `disksOf` gives all disks that a member ever had. */
  constructor(disksOf: (id: string) => readonly CheckedWalDisk[]) {
    this.#disksOf = disksOf
  }

  get termCount(): number {
    return this.#leaderOf.size
  }

  get acknowledgedCount(): number {
    return this.clients.acknowledgedCount
  }

  // ---- what becomes durable ----

  onGiven(batch: WalBatch): void {
    this.#committedBefore.set(batch, this.#committedMax)
  }

  onWrite(disk: CheckedWalDisk, batch: WalBatch): void {
    if (batch.hardState !== null) this.#onHardState(disk, batch.hardState)
    const oldLast = batch.reset === null ? disk.lastIndex : batch.reset.index
    if (batch.reset !== null) {
      this.#onReset(disk, batch.reset)
      disk.unlink()
    }
    const first = batch.entries[0]
    if (first === undefined) return
    const base = batch.reset ?? disk.base
    let chain =
      first.index - 1 === base.index ? this.#baseChain(base) : disk.chainAt(first.index - 1)
    if (first.index - 1 > oldLast) throw new Error(`${disk.owner} left a gap before ${first.index}`)
    // What is committed while a slow disk still has to cut it off was counted on others: this node had decided, and answers for the new entries.
    const committed = this.#committedBefore.get(batch)
    if (committed === undefined) throw new Error(`${disk.owner} wrote what nobody gave its disk`)
    const oldChains = new Map<number, number | undefined>()
    for (let at = first.index; at <= Math.min(oldLast, committed); at += 1) {
      oldChains.set(at, disk.chainAt(at))
    }
    for (const entry of batch.entries) {
      if (chain !== undefined) {
        chain = chainHash(chain, entry.bytes)
        this.#checkMatching(disk, entry.index, entry.term, chain)
        disk.link(entry.index, chain)
      }
      if (entry.kind === 'membership') this.#checkOneChange(disk, batch, entry.index)
    }
    this.#checkTruncation(disk, batch, oldChains)
  }

  /** At most one vote per node and term, and terms that only grow, over all of its lives. */
  #onHardState(disk: CheckedWalDisk, { term, vote }: NonNullable<WalBatch['hardState']>): void {
    const { owner, generation } = disk
    if (term < disk.hardState.term) throw new Error(`${owner} went back to term ${term}`)
    if (vote === null) return
    const key = `${owner} ${generation} ${term}`
    const known = this.#votes.get(key)
    if (known !== undefined && known !== vote) {
      throw new Error(`${owner} voted for ${known} and ${vote} in term ${term}`)
    }
    this.#votes.set(key, vote)
    if (known === undefined) this.#checkVotedLog(disk, term, vote)
  }

  /** Election restriction (§3.6.1): nobody votes for a log that is older than its own. */
  #checkVotedLog(disk: CheckedWalDisk, term: number, vote: string): void {
    const candidate = this.#disksOf(vote).at(-1)
    // Once it is in a later term its log may be another one than it asked with.
    if (candidate === undefined || candidate.hardState.term !== term) return
    const [own, asked] = [disk.lastPosition, candidate.lastPosition]
    const isOlder = asked.term < own.term || (asked.term === own.term && asked.index < own.index)
    if (isOlder) {
      throw new Error(`${disk.owner} voted for ${vote} in term ${term}, whose log is older`)
    }
  }

  #onReset(disk: CheckedWalDisk, reset: { index: number; term: number }): void {
    const { owner } = disk
    const known = this.#committed[reset.index]
    if (known !== undefined && known.term !== reset.term) {
      throw new Error(`${owner} took a snapshot of ${reset.index} that was never committed`)
    }
    const isTail = disk.lastIndex > reset.index && disk.termAt(reset.index) === reset.term
    if (isTail) throw new Error(`${owner} threw away what matches the snapshot of ${reset.index}`)
  }

  #baseChain({ index, term }: { index: number; term: number }): number | undefined {
    return index === 0 ? 0 : this.#chains.get(index * TERM_FACTOR + term)
  }

  #checkMatching(disk: CheckedWalDisk, index: number, term: number, chain: number): void {
    const key = index * TERM_FACTOR + term
    const known = this.#chains.get(key)
    if (known === undefined) this.#chains.set(key, chain)
    else if (known !== chain) {
      throw new Error(`the log of ${disk.owner} differs before ${index}, of term ${term} as others`)
    }
  }

  /**
   * What was committed and is here must stay here; the chains are those of entries that were committed. In a term before that of the commit a node
   * may still follow its leader, who need not have the entry, and does not count for it (figure 3.7).
   */
  #checkTruncation(
    disk: CheckedWalDisk,
    { hardState, entries }: WalBatch,
    oldChains: ReadonlyMap<number, number | undefined>,
  ): void {
    const term = hardState?.term ?? disk.hardState.term
    const newLast = entries.at(-1)?.index ?? 0
    for (const [index, old] of oldChains) {
      const committed = this.#committed[index]
      if (committed === undefined || old === undefined || committed.chain !== old) continue
      if (committed.byTerm > term) continue
      if (index > newLast || disk.chainAt(index) !== old) {
        throw new Error(`${disk.owner} cut off entry ${index}, which was committed`)
      }
    }
  }

  /** A change is proposed only when the one before it was applied. */
  #checkOneChange(disk: CheckedWalDisk, batch: WalBatch, index: number): void {
    for (let at = this.#committedMax + 1; at < index; at += 1) {
      const first = batch.entries[0]?.index ?? at
      const entry = at >= first ? batch.entries[at - first] : disk.entryAt(at)
      if (entry?.kind !== 'membership') continue
      throw new Error(`${disk.owner} has changes of the members at ${at} and at ${index}`)
    }
  }

  // ---- what a node shows ----

  /** After each event of a node. */
  onStatus(disk: CheckedWalDisk, life: LifeRecord, status: RaftStatus): void {
    const { id, term, committed, applied, lastIndex, role } = status
    if (term < life.term) throw new Error(`${id} went back from term ${life.term} to ${term}`)
    if (committed < life.committed) throw new Error(`${id} took back a commit of ${life.committed}`)
    if (committed > lastIndex) throw new Error(`${id} committed ${committed}, beyond its log`)
    if (applied > committed) throw new Error(`${id} applied ${applied}, committed is ${committed}`)
    if (role === 'leader') {
      this.#onLeader(disk, life, status)
      this.#checkQuorum(life, status)
      checkMembershipStep(life.status, status)
    }
    // While a snapshot is taken over the core is ahead of the disk.
    if (status.firstIndex - 1 <= disk.base.index) this.#onProgress(disk, life, status)
    if (status.joint && life.status?.joint === false) life.outgoing = life.status.voters
    if (!status.joint) life.outgoing = []
    life.term = term
    life.committed = committed
    life.status = status
  }

  /** Election safety and leader completeness. */
  #onLeader(disk: CheckedWalDisk, life: LifeRecord, status: RaftStatus): void {
    const { owner } = disk
    const { term } = status
    const known = this.#leaderOf.get(term)
    if (known === owner) return
    if (known !== undefined) throw new Error(`${known} and ${owner} both lead term ${term}`)
    this.#leaderOf.set(term, owner)
    this.#checkVotes(life, status)
    for (let index = disk.base.index + 1; index < this.#committed.length; index += 1) {
      const committed = this.#committed[index]
      // A leader of an earlier term may still come, too late to do anything.
      if (committed === undefined || committed.byTerm >= term) continue
      if (disk.termAt(index) !== committed.term) {
        throw new Error(`${owner} leads term ${term} without the committed entry ${index}`)
      }
    }
  }

  /** A leader has durable votes of a majority, in a joint configuration of both. */
  #checkVotes(
    { status: before, outgoing }: LifeRecord,
    { id, term, voters, joint }: RaftStatus,
  ): void {
    const has = (voter: string) =>
      this.#disksOf(voter).some(
        (disk) => this.#votes.get(`${voter} ${disk.generation} ${term}`) === id,
      )
    const isElected = hasMajority(voters, has) || hasMajority(before?.voters ?? [], has)
    if (isElected && (!joint || outgoing.length === 0 || hasMajority(outgoing, has))) return
    throw new Error(`${id} leads term ${term} without the votes of a majority`)
  }

  /** A leader commits an entry of its own term, which a majority has on disk. */
  #checkQuorum(life: LifeRecord, status: RaftStatus): void {
    const { id, term, committed } = status
    if (life.status?.role !== 'leader' || life.status.term !== term) return
    if (committed === life.committed) return
    const has = (voter: string) =>
      this.#disksOf(voter).some(
        (disk) => disk.base.index >= committed || disk.termAt(committed) === term,
      )
    // Within one event it may count, commit and then apply a change of who counts.
    const isIncoming = hasMajority(life.status.voters, has) || hasMajority(status.voters, has)
    const isJoint = life.status.joint && status.joint && life.outgoing.length > 0
    if (isIncoming && (!isJoint || hasMajority(life.outgoing, has))) return
    throw new Error(`${id} committed ${committed} in term ${term} without a majority`)
  }

  /** State machine safety: the same entry at the same index everywhere, durable before it is applied. */
  #onProgress(disk: CheckedWalDisk, life: LifeRecord, { applied, term }: RaftStatus): void {
    for (let index = Math.max(life.compared, disk.base.index) + 1; index <= applied; index += 1) {
      const own = disk.termAt(index)
      // Otherwise a crash could leave a state that is ahead of the log.
      if (own === undefined) throw new Error(`${disk.owner} applied ${index} before it was durable`)
      const chain = disk.chainAt(index)
      const known = this.#committed[index]
      if (known === undefined) {
        this.#committed[index] = { term: own, chain, byTerm: term }
        this.#committedMax = Math.max(this.#committedMax, index)
        continue
      }
      if (known.term !== own || (known.chain !== chain && chain !== undefined)) {
        throw new Error(
          `${disk.owner} applied another entry ${index} than is on its disk or others`,
        )
      }
      known.byTerm = Math.min(known.byTerm, term)
    }
    life.compared = Math.max(life.compared, applied)
  }

  // ---- what is applied ----

  onApplied(id: string, index: number, command: string, hash: string): void {
    this.clients.onApplied(id, index, command, hash)
  }

  /** A start, or a snapshot: the same as if all commands had been applied. */
  onRestored(id: string, index: number, hash: string, commands: ReadonlyMap<string, number>): void {
    this.clients.onRestored(id, index, hash, commands)
  }
}
