// What must hold after each step, whatever fails: the safety properties of the dissertation's Figure 3.2, and those
// that its text adds. What is observed comes from the ports: the log's writes, the applied state, the status.

import type { HardState } from '../../../src/raft/core-state.ts'
import type { LogPosition } from '../../../src/raft/entry.ts'
import type { Membership } from '../../../src/raft/membership.ts'
import type { SnapshotMeta } from '../../../src/raft/message.ts'
import type { RaftStatus } from '../../../src/raft/node-status.ts'
import type { WalBatch } from '../../../src/raft/wal-port.ts'
import { type Link, type LogImage, ORIGIN } from './log-image.ts'

/** Nobody whose vote counts is further behind than the last change, which a majority of both sides has. */
const RECENT_MEMBERSHIPS = 3

interface Committed {
  readonly term: number
  readonly chain: string
  /** The lowest term of a manager that had applied it: it was committed in this one or before. */
  byTerm: number
}

/** A manager applied entries `from` (without) to `meta.index`. */
export interface AppliedTo {
  readonly meta: SnapshotMeta
  readonly from: number
  /** What is durable on that manager. */
  readonly log: LogImage
  readonly hash: string
}

/** How often things happened: a run that proves nothing shows here. */
export interface Counts {
  terms: number
  snapshots: number
  /** Whole ones that a full disk did not put in use at once. */
  refusedSnapshots: number
  applied: number
  memberships: number
}

/** Sees everything; the first thing that must not be is kept in `failure`. */
export class ManagerChecker {
  readonly counts: Counts = {
    ...{ terms: 0, snapshots: 0, refusedSnapshots: 0, applied: 0, memberships: 0 },
  }
  failure: Error | undefined
  /** Called when the members changed, with the id of the manager that applied it first. */
  onMembersChange: (id: string) => void = () => {}
  readonly #leaderOf = new Map<number, string>()
  readonly #votes = new Map<string, string>()
  readonly #chains = new Map<string, string>()
  readonly #committed = new Map<number, Committed>()
  readonly #states = new Map<number, string>()
  readonly #statuses = new Map<string, RaftStatus>()
  /** The highest index that any manager has applied. */
  #committedTo = 0
  #membership: { index: number; membership: Membership } | undefined
  #membershipIndex = 0
  #recent: Membership[] = []
  readonly #memberships = new Map<number, string>()

  /** Keeps the first failure, and returns it to be thrown. */
  fail(message: string): Error {
    this.failure ??= new Error(message)
    return this.failure
  }

  /** The membership that was committed last. */
  get membership(): Membership | undefined {
    return this.#membership?.membership
  }

  /** The index of its last change. */
  get membershipIndex(): number {
    return this.#membershipIndex
  }

  /** The last memberships: whoever is a little behind still acts on one of the older ones. */
  recentMemberships(): readonly Membership[] {
    return this.#recent
  }

  /** A process began anew: what it knew only in memory may be gone. */
  onStart(id: string): void {
    this.#statuses.delete(id)
  }

  /** The hash of the log up to a position that some manager has had. */
  chainOf({ index, term }: LogPosition): string {
    if (index === 0) return ORIGIN
    const chain = this.#chains.get(`${index} ${term}`)
    if (chain === undefined) throw this.fail(`nobody ever had entry ${index} of term ${term}`)
    return chain
  }

  /** Before a batch goes to a log: nothing committed is ever replaced. */
  onAppend(id: string, latest: LogImage, { entries, reset }: WalBatch): void {
    const first = entries[0]
    const old = first && reset === null ? latest.at(first.index) : undefined
    if (first === undefined || old === undefined || old.term === first.term) return
    if (this.#committed.get(first.index)?.chain === old.chain) {
      throw this.fail(
        `${id} replaces the committed entry ${first.index} of term ${old.term} by one of term ${first.term}`,
      )
    }
  }

  /** Log Matching: the same index and term mean the same log up to there. */
  onLinks(id: string, links: readonly Link[]): void {
    for (const { index, term, chain } of links) {
      const key = `${index} ${term}`
      const known = this.#chains.get(key)
      if (known !== undefined && known !== chain) {
        throw this.fail(`${id} has another log up to entry ${index} of term ${term} than others`)
      }
      this.#chains.set(key, chain)
    }
  }

  /** At most one vote in a term, over all lives of a manager. */
  onDurable(id: string, { term, vote }: HardState): void {
    if (vote === null) return
    const key = `${id} ${term}`
    const known = this.#votes.get(key)
    if (known !== undefined && known !== vote) {
      throw this.fail(`${id} voted for ${known} and for ${vote} in term ${term}`)
    }
    this.#votes.set(key, vote)
  }

  /** State Machine Safety: what is applied at an index is the same everywhere, and durable where it is applied. */
  onApplied(id: string, { meta, from, log, hash }: AppliedTo): void {
    const nodeTerm = this.#statuses.get(id)?.term ?? Number.POSITIVE_INFINITY
    if (meta.index < from) throw this.fail(`${id} applied up to ${meta.index} after ${from}`)
    for (let index = from + 1; index <= meta.index; index += 1) {
      const link = log.at(index)
      if (link === undefined || index > log.last.index) {
        throw this.fail(`${id} applied entry ${index} before it was durable`)
      }
      const known = this.#committed.get(index)
      if (known !== undefined && known.chain !== link.chain) {
        throw this.fail(`${id} applied another entry ${index} (term ${link.term}) than others`)
      }
      if (known === undefined) {
        this.counts.applied += 1
        this.#committed.set(index, { term: link.term, chain: link.chain, byTerm: nodeTerm })
      } else known.byTerm = Math.min(known.byTerm, nodeTerm)
      this.#committedTo = Math.max(this.#committedTo, index)
    }
    this.onState(id, meta, hash)
    this.#onMembership(id, meta)
  }

  /** Equal state at equal index, however a manager came to it: by the log, by a snapshot, from its disk. */
  onState(id: string, { index, term }: SnapshotMeta, hash: string): void {
    const known = this.#states.get(index)
    if (known !== undefined && known !== hash) {
      throw this.fail(`${id} has state ${hash} at ${index} (term ${term}), others have ${known}`)
    }
    this.#states.set(index, hash)
  }

  /** After each step of a manager: what it says of itself. */
  onStatus(status: RaftStatus, log: LogImage): void {
    const { id, term, committed, applied, lastIndex, role } = status
    const before = this.#statuses.get(id)
    this.#statuses.set(id, status)
    if (before !== undefined) {
      if (term < before.term) throw this.fail(`${id} went back from term ${before.term} to ${term}`)
      if (committed < before.committed) {
        throw this.fail(`${id} went back from commit ${before.committed} to ${committed}`)
      }
      if (before.role === 'leader' && role === 'leader' && before.term === term) {
        if (lastIndex < before.lastIndex) throw this.fail(`${id} leads and shortened its log`)
      }
    }
    if (applied > committed || committed > lastIndex) {
      throw this.fail(`${id} applied ${applied} of ${committed} committed of ${lastIndex}`)
    }
    if (role === 'leader') this.#onLeader(id, term, log)
  }

  /** Election Safety, and Leader Completeness: what is committed is in the log of every later leader. */
  #onLeader(id: string, term: number, log: LogImage): void {
    const known = this.#leaderOf.get(term)
    if (known === id) return
    if (known !== undefined) throw this.fail(`${known} and ${id} both lead term ${term}`)
    this.#leaderOf.set(term, id)
    this.counts.terms += 1
    for (let index = this.#committedTo; index > log.base.index; index -= 1) {
      const committed = this.#committed.get(index)
      // A leader of an earlier term may still come, too late to do anything.
      if (committed === undefined || committed.byTerm >= term) continue
      if (log.at(index)?.chain !== committed.chain) {
        throw this.fail(`${id} leads term ${term} without the committed entry ${index}`)
      }
      // The hash covers all before it.
      return
    }
  }

  /** Neighbouring configurations must not be able to decide apart (§4.3). */
  #onMembership(id: string, { index, membership }: SnapshotMeta): void {
    const text = JSON.stringify([
      ...[membership.voters, membership.outgoing, membership.learners, membership.learnersNext],
      [...membership.contexts.keys()].sort(),
    ])
    const known = this.#memberships.get(index)
    if (known !== undefined && known !== text) {
      throw this.fail(`${id} has the members ${text} at ${index}, others have ${known}`)
    }
    this.#memberships.set(index, text)
    const last = this.#membership
    if (last !== undefined && last.index >= index) return
    const isSame = last !== undefined && this.#memberships.get(last.index) === text
    if (last !== undefined && !isSame) {
      this.counts.memberships += 1
      this.onMembersChange(id)
      if (!quorumsIntersect(last.membership, membership)) {
        throw this.fail(`the members at ${last.index} and ${index} can decide apart`)
      }
    }
    if (!isSame) this.#membershipIndex = index
    if (!isSame) this.#recent = [...this.#recent, membership].slice(-RECENT_MEMBERSHIPS)
    this.#membership = { index, membership }
  }
}

/** Whether a set of members can decide: a majority of the voters, in both halves of a joint configuration. */
export function isQuorum(members: ReadonlySet<string>, { voters, outgoing }: Membership): boolean {
  const hasMajority = (ids: readonly string[]) =>
    ids.length === 0 || ids.filter((id) => members.has(id)).length > ids.length / 2
  return hasMajority(voters) && hasMajority(outgoing)
}

/** Whether no two sets of members could decide apart, one in each configuration. */
export function quorumsIntersect(a: Membership, b: Membership): boolean {
  // The first voters of a cluster have no predecessors.
  if (a.voters.length === 0) return true
  const ids = [...new Set([...a.voters, ...a.outgoing, ...b.voters, ...b.outgoing])]
  for (let bits = 0; bits < 2 ** ids.length; bits += 1) {
    const inside = new Set(ids.filter((_, at) => (bits & (1 << at)) !== 0))
    const outside = new Set(ids.filter((id) => !inside.has(id)))
    if (isQuorum(inside, a) && isQuorum(outside, b)) return false
  }
  return true
}
