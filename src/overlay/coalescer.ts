import type { Clock } from '../api/clock.ts'
import { unavailable } from '../api/errors.ts'

interface Waiter {
  resolve: () => void
  reject: (error: Error) => void
}

/**
 * Runs one job at a time; requests that arrive meanwhile share the next run. A failed run is repeated until it succeeds, and its
 * requests wait for that.
 */
export class Coalescer {
  readonly #clock: Clock
  readonly #run: () => Promise<void>
  readonly #retryMs: number
  /** One per request; bounded by who asks (each asks once at a time). */
  #waiters: Waiter[] = []
  #isRunning = false
  /** Something is to be done that no run has begun with. */
  #isWanted = false
  #cancelRetry: (() => void) | null = null
  #isClosed = false
  #idle: Promise<void> = Promise.resolve()

  constructor(deps: { clock: Clock }, options: { run: () => Promise<void>; retryMs: number }) {
    this.#clock = deps.clock
    this.#run = options.run
    this.#retryMs = options.retryMs
  }

  /** Resolves when the run that is under way, if any, has ended. */
  settled(): Promise<void> {
    return this.#idle
  }

  /** Resolves when a run that began after this call has succeeded; rejects when closed before. */
  request(): Promise<void> {
    if (this.#isClosed) return Promise.reject(closed())
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.trigger()
    })
  }

  /** A request that nobody waits for: any number of them cost nothing. */
  trigger(): void {
    this.#isWanted = true
    // A pending retry is not waited for: what is new may be what helps.
    this.#cancelRetry?.()
    this.#cancelRetry = null
    this.#start()
  }

  /** No further run; resolves when the one under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry?.()
    await this.#idle
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
  }

  #start(): void {
    if (this.#isRunning || this.#isClosed || !this.#isWanted) return
    this.#isRunning = true
    this.#idle = this.#runOnce()
  }

  async #runOnce(): Promise<void> {
    // Everything that asks in the same turn of the loop is part of this run.
    await Promise.resolve()
    const waiters = this.#waiters.splice(0)
    this.#isWanted = false
    let isDone = false
    try {
      await this.#run()
      isDone = true
    } catch {
      // Logged by whoever runs; the requests stay and the run is repeated.
      this.#waiters.unshift(...waiters)
      this.#isWanted = true
    }
    this.#isRunning = false
    if (isDone) {
      for (const waiter of waiters) waiter.resolve()
      this.#start()
    } else if (!this.#isClosed) {
      this.#cancelRetry = this.#clock.schedule(this.#retryMs, () => {
        this.#cancelRetry = null
        this.#start()
      })
    }
  }
}

const closed = () => unavailable('the overlay is closed')
