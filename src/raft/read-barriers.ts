import { UnavailableError } from './errors.ts'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly deadlineTick: number
}

interface Round {
  readonly token: number
  readonly waiters: Waiter[]
  askedTick: number
}

/**
 * Reads of this node that wait for a read index. All that arrive while one round is under way share the
 * next, so any number of readers costs one heartbeat round at a time and nothing on disk.
 */
export class ReadBarriers {
  readonly #retryTicks: number
  #queued: Waiter[] = []
  #round: Round | undefined
  #lastToken: number
  #confirmed: { index: number; waiters: Waiter[] }[] = []

  /** `firstToken` differs between starts: an answer to an earlier life of this node must confirm nothing. */
  constructor(retryTicks: number, firstToken: number) {
    this.#retryTicks = retryTicks
    this.#lastToken = firstToken
  }

  add(waiter: Waiter): void {
    this.#queued.push(waiter)
  }

  /** The token to ask for now: of a new round, or of one whose answer didn't come; undefined for none. */
  nextToken(tick: number): number | undefined {
    if (this.#round === undefined) {
      if (this.#queued.length === 0) return undefined
      this.#lastToken += 1
      this.#round = { token: this.#lastToken, waiters: this.#queued, askedTick: tick }
      this.#queued = []
      return this.#lastToken
    }
    // Asking again is safe: any answer to this token was confirmed after all its readers had come.
    if (tick - this.#round.askedTick < this.#retryTicks) return undefined
    this.#round.askedTick = tick
    return this.#round.token
  }

  onConfirmed(token: number, index: number): void {
    if (this.#round?.token !== token) return
    this.#confirmed.push({ index, waiters: this.#round.waiters })
    this.#round = undefined
  }

  onApplied(applied: number): void {
    if (this.#confirmed.length === 0) return
    const ready = this.#confirmed.filter(({ index }) => index <= applied)
    this.#confirmed = this.#confirmed.filter(({ index }) => index > applied)
    for (const { waiters } of ready) for (const waiter of waiters) waiter.resolve()
  }

  /** Rounds that were answered, and whose index is not applied yet. */
  get confirmedCount(): number {
    return this.#confirmed.length
  }

  get hasQueued(): boolean {
    return this.#queued.length > 0 && this.#round === undefined
  }

  expire(tick: number): void {
    const isLate = (waiter: Waiter) => waiter.deadlineTick <= tick
    const late = this.#all().filter(isLate)
    if (late.length > 0) this.#reject(late, new UnavailableError())
  }

  rejectAll(error: Error): void {
    this.#reject(this.#all(), error)
  }

  #all(): Waiter[] {
    const confirmed = this.#confirmed.flatMap(({ waiters }) => waiters)
    return [...this.#queued, ...(this.#round?.waiters ?? []), ...confirmed]
  }

  #reject(waiters: readonly Waiter[], error: Error): void {
    const gone = new Set(waiters)
    const keep = (list: readonly Waiter[]) => list.filter((waiter) => !gone.has(waiter))
    this.#queued = keep(this.#queued)
    if (this.#round !== undefined)
      this.#round = { ...this.#round, waiters: keep(this.#round.waiters) }
    if (this.#round?.waiters.length === 0) this.#round = undefined
    // What nobody waits for any more goes: while nothing is applied, on a full disk, there would be ever more of it.
    this.#confirmed = this.#confirmed
      .map(({ index, waiters: all }) => ({ index, waiters: keep(all) }))
      .filter(({ waiters: left }) => left.length > 0)
    for (const waiter of waiters) waiter.reject(error)
  }
}
