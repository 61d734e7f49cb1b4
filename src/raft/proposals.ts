import { type ProposeOutcome, type RaftCore, TOO_MUCH_UNCOMMITTED } from './core.ts'
import type { Entry } from './entry.ts'
import {
  EntryTooLargeError,
  type LogFullError,
  NotLeaderError,
  OutcomeUnknownError,
  ProposalDroppedError,
} from './errors.ts'
import { PENDING_PROPOSALS_MAX } from './node-options.ts'
import { ENTRY_BYTES_MAX } from './wal.ts'

/** What decides whether a proposal is taken. */
export interface ProposalRoom {
  readonly core: Pick<RaftCore, 'role' | 'leader'>
  readonly roomError: LogFullError | undefined
}

/** What a proposal became: its index, and what applying it gave. */
export interface ProposalResult {
  readonly index: number
  readonly result: unknown
}

/** Who waits for a proposal. */
export interface Proposer {
  readonly resolve: (result: ProposalResult) => void
  readonly reject: (error: Error) => void
  /** The tick at which waiting ends. */
  readonly deadlineTick: number
}

interface Pending extends Proposer {
  readonly term: number
}

interface Queued extends Proposer {
  readonly data: Uint8Array
}

/** Proposals that wait: for the next turn of the loop, then in the log until they are applied. */
export class Proposals {
  #queue: Queued[] = []
  #pending = new Map<number, Pending>()

  get count(): number {
    return this.#pending.size + this.#queue.length
  }

  /** Why a command can't be proposed now, if it can't. */
  refusalOf(data: Uint8Array, { core, roomError }: ProposalRoom): Error | undefined {
    if (core.role !== 'leader') return new NotLeaderError(core.leader)
    if (data.length > ENTRY_BYTES_MAX) return new EntryTooLargeError(data.length, ENTRY_BYTES_MAX)
    if (roomError !== undefined) return roomError
    if (this.count < PENDING_PROPOSALS_MAX) return undefined
    return new ProposalDroppedError('too many changes wait already')
  }

  /** Adds one to those that the next turn proposes together. */
  enqueue(data: Uint8Array, proposer: Proposer): void {
    this.#queue.push({ data, ...proposer })
  }

  /** Proposes all that wait, as one. */
  proposeQueued(propose: (commands: readonly Uint8Array[]) => ProposeOutcome): void {
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    this.onProposed(propose(queue.map(({ data }) => data)), queue)
  }

  /** The core took entries of these proposers, or refused them. */
  onProposed(outcome: ProposeOutcome, proposers: readonly Proposer[]): void {
    if (outcome.kind === 'proposed') {
      const { count, firstIndex, term } = outcome
      proposers.forEach((proposer, at) => {
        if (at < count) this.#add(firstIndex + at, term, proposer)
        else proposer.reject(new ProposalDroppedError(TOO_MUCH_UNCOMMITTED))
      })
      return
    }
    for (const proposer of proposers) proposer.reject(refusalError(outcome))
  }

  #add(index: number, term: number, proposer: Proposer): void {
    // Another proposer may wait here for an entry that a new term replaced; it is gone for certain
    // only when this index is applied, so it must not be forgotten without an answer.
    this.#pending.get(index)?.reject(new OutcomeUnknownError('leadership changed meanwhile'))
    this.#pending.set(index, { ...proposer, term })
  }

  /** An entry was applied: answers who proposed it, or who proposed another one at its index. */
  onApplied(entry: Entry, result: unknown): void {
    const pending = this.#pending.get(entry.index)
    if (pending === undefined) return
    this.#pending.delete(entry.index)
    if (pending.term === entry.term) pending.resolve({ index: entry.index, result })
    else
      pending.reject(new ProposalDroppedError('another leader took over before it was committed'))
  }

  /** The log was replaced up to an index: nobody can say what became of what was proposed there. */
  onSnapshot(index: number): void {
    const why = () => new OutcomeUnknownError('leadership changed meanwhile')
    this.#rejectWhere((at) => at <= index, why)
  }

  expire(tick: number): void {
    const why = () => new OutcomeUnknownError('the change was not confirmed in time')
    this.#rejectWhere((_, pending) => pending.deadlineTick <= tick, why)
  }

  rejectAll(error: Error): void {
    for (const { reject } of this.#queue) reject(error)
    this.#queue = []
    const why = () => error
    this.#rejectWhere(() => true, why)
  }

  /** An error is made when one is needed: it costs more than a look at all that wait. */
  #rejectWhere(matches: (index: number, pending: Pending) => boolean, why: () => Error): void {
    for (const [index, pending] of this.#pending) {
      if (!matches(index, pending)) continue
      this.#pending.delete(index)
      pending.reject(why())
    }
  }
}

function refusalError(outcome: Exclude<ProposeOutcome, { kind: 'proposed' }>): Error {
  return outcome.kind === 'not-leader'
    ? new NotLeaderError(outcome.leaderId)
    : new ProposalDroppedError(outcome.reason)
}
