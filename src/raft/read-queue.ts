import type { RaftNodeId } from './membership.ts'

/** Who asked for a read index: this node, or a follower that forwarded its request. */
export interface ReadOrigin {
  readonly node: RaftNodeId
  readonly token: number
}

/** A read that is confirmed: serve it once this index is applied. */
export interface ConfirmedRead extends ReadOrigin {
  readonly index: number
}

interface Round {
  readonly number: number
  readonly index: number
  readonly origin: ReadOrigin
  readonly acks: Set<RaftNodeId>
}

/** Rounds that may wait for a quorum at once; the node above batches its reads into one. */
const ROUNDS_MAX = 1_024

/**
 * The leader's reads (§6.4). A round is confirmed when a quorum answers a heartbeat with its number
 * or a later one. The number is a counter of the leader's own term, never anything that a client
 * chose: a reused client id could otherwise confirm a read with an old answer.
 */
export class ReadQueue {
  #rounds: Round[] = []
  #lastNumber = 0
  /** Reads that came before the leader committed an entry of its own term. */
  #early: ReadOrigin[] = []

  /** The number that heartbeats carry: the newest unanswered round. */
  get lastNumber(): number {
    return this.#rounds.length === 0 ? 0 : this.#lastNumber
  }

  /** Begins a round; false when too many wait already, and the read must be asked again later. */
  begin(index: number, origin: ReadOrigin): boolean {
    if (this.#rounds.length >= ROUNDS_MAX) return false
    this.#lastNumber += 1
    this.#rounds.push({ number: this.#lastNumber, index, origin, acks: new Set() })
    return true
  }

  /** Keeps a read until the leader knows what is committed. */
  postpone(origin: ReadOrigin): void {
    if (this.#early.length < ROUNDS_MAX) this.#early.push(origin)
  }

  takePostponed(): ReadOrigin[] {
    const early = this.#early
    this.#early = []
    return early
  }

  /** Counts an answer; returns the reads that it confirmed. */
  acknowledge(
    from: RaftNodeId,
    number: number,
    isQuorum: (acks: ReadonlySet<RaftNodeId>) => boolean,
  ): ConfirmedRead[] {
    let confirmed = 0
    this.#rounds.forEach((round, position) => {
      if (round.number > number) return
      round.acks.add(from)
      if (isQuorum(round.acks)) confirmed = position + 1
    })
    return this.#rounds.splice(0, confirmed).map(({ index, origin }) => ({ ...origin, index }))
  }
}
