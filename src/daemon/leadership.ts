import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'

/** A beginning of leadership that failed is tried again after this time, twice as long each time, up to a limit. */
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000

export interface LeadershipDeps {
  clock: Clock
  log: Log
  /** Begins what a leader does; called again after a failure, while this node still leads. */
  lead: () => Promise<void>
  /** Ends what a leader does, also what was begun only in part. */
  follow: () => Promise<void>
}

/** Begins and ends what a leader does, one after the other, as consensus makes this node the leader or another. */
export class Leadership {
  readonly #deps: LeadershipDeps
  #last: Promise<void> = Promise.resolve()
  /** Counts the changes: what belongs to an earlier one is not tried again. */
  #change = 0
  #cancelRetry: () => void = () => {}

  constructor(deps: LeadershipDeps) {
    this.#deps = deps
  }

  set(leads: boolean): void {
    this.#change += 1
    this.#cancelRetry()
    if (leads) this.#lead(this.#change, RETRY_MS_MIN)
    else this.#enqueue(this.#deps.follow, () => {})
  }

  /** Ends what is under way; resolves when this node does nothing of a leader any more. */
  async stop(): Promise<void> {
    this.set(false)
    await this.#last
  }

  #lead(change: number, retryMs: number): void {
    this.#enqueue(
      async () => {
        if (change === this.#change) await this.#deps.lead()
      },
      () => {
        if (change !== this.#change) return
        this.#cancelRetry = this.#deps.clock.schedule(retryMs, () =>
          this.#lead(change, Math.min(2 * retryMs, RETRY_MS_MAX)),
        )
      },
    )
  }

  #enqueue(run: () => Promise<void>, onFailed: () => void): void {
    this.#last = this.#last.then(run).catch((error) => {
      this.#deps.log.error({ error: toSwarmctlError(error).message }, 'change of leadership failed')
      onFailed()
    })
  }
}
