import type { Entry } from './entry.ts'
import { OutcomeUnknownError, ProposalDroppedError } from './errors.ts'

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

/** Proposals in the log that were not applied yet, by index. */
export class PendingProposals {
  #pending = new Map<number, Pending>()

  get count(): number {
    return this.#pending.size
  }

  add(index: number, term: number, proposer: Proposer): void {
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
    this.#rejectWhere((at) => at <= index, new OutcomeUnknownError('leadership changed meanwhile'))
  }

  expire(tick: number): void {
    const error = new OutcomeUnknownError('the change was not confirmed in time')
    this.#rejectWhere((_, pending) => pending.deadlineTick <= tick, error)
  }

  rejectAll(error: Error): void {
    this.#rejectWhere(() => true, error)
  }

  #rejectWhere(matches: (index: number, pending: Pending) => boolean, error: Error): void {
    for (const [index, pending] of this.#pending) {
      if (!matches(index, pending)) continue
      this.#pending.delete(index)
      pending.reject(error)
    }
  }
}
