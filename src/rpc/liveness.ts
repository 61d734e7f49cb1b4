import type { Clock } from '../api/clock.ts'

/** Milliseconds between looks (design §6: as the agents' heartbeats). */
export const PING_PERIOD_MS = 1000
/** A peer that was silent for more periods than this is dead; after the first of them it is pinged. */
export const SILENT_PERIODS_MAX = 3

export interface LivenessActions {
  /** Called in each period, first: it may stop all of this. */
  onPeriod: () => void
  ping: () => void
  onDead: (reason: string) => void
}

/**
 * Finds a dead peer: pings when it is silent, and counts periods since anything was received. Counting instead of comparing times means
 * that a pause of this process (its own event loop was blocked) counts as one period, not as the peer's death.
 */
export class Liveness {
  readonly #clock: Clock
  readonly #actions: LivenessActions
  #silentPeriods = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, actions: LivenessActions) {
    this.#clock = clock
    this.#actions = actions
  }

  start(): void {
    this.#cancel = this.#clock.schedule(PING_PERIOD_MS, () => this.#tick())
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Something was received. */
  seen(): void {
    this.#silentPeriods = 0
  }

  #tick(): void {
    this.#actions.onPeriod()
    if (this.#cancel === undefined) return
    this.#silentPeriods += 1
    if (this.#silentPeriods > SILENT_PERIODS_MAX) {
      this.#actions.onDead(
        `the peer was silent for ${(SILENT_PERIODS_MAX * PING_PERIOD_MS) / 1000} s`,
      )
      return
    }
    // Who sends by itself, as the members of a Raft group do all the time, need not be asked.
    if (this.#silentPeriods > 1) this.#actions.ping()
    this.start()
  }
}
