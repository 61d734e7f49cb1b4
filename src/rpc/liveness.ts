import type { Clock } from '../api/clock.ts'

/** Milliseconds between pings (design §6: as the agents' heartbeats). */
export const PING_PERIOD_MS = 1000
/** A peer that was silent for this many pings is dead. */
export const PINGS_MISSED_MAX = 3

/**
 * Finds a dead peer: pings, and counts pings since anything was received. Counting instead of comparing times means that a
 * pause of this process (its own event loop was blocked) counts as one missed ping, not as the peer's death.
 */
export class Liveness {
  readonly #clock: Clock
  readonly #ping: () => void
  readonly #onDead: (reason: string) => void
  #missed = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, actions: { ping: () => void; onDead: (reason: string) => void }) {
    this.#clock = clock
    this.#ping = actions.ping
    this.#onDead = actions.onDead
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
    this.#missed = 0
  }

  #tick(): void {
    if (this.#missed >= PINGS_MISSED_MAX) {
      this.#onDead(`the peer was silent for ${(PINGS_MISSED_MAX * PING_PERIOD_MS) / 1000} s`)
      return
    }
    this.#missed += 1
    this.#ping()
    this.start()
  }
}
