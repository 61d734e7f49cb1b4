// Messages between the nodes of a simulation: lost, repeated, late, in any order, on links that fail one by one.

import type { VirtualClock } from './virtual-clock.ts'

/** What happens to messages; the numbers are shares of 1. */
export interface NetworkFaults {
  readonly loss: number
  readonly duplication: number
  /** Of the repeated ones, how many come up to `LATE_MS` later. */
  readonly lateness: number
  /** The mean of an exponential delay. */
  readonly delayMs: number
}

export interface VirtualNetworkDeps {
  readonly clock: VirtualClock
  readonly random: () => number
  readonly faults: NetworkFaults
  readonly deliver: (from: string, to: string, message: Uint8Array) => void
}

/** Long enough for a node to crash and come back meanwhile. */
const LATE_MS = 3_000
const CALM_DELAY_MS = 1

export class VirtualNetwork {
  readonly #deps: VirtualNetworkDeps
  /** Directed links that lose everything. */
  readonly #cut = new Set<string>()
  readonly #clogged = new Map<string, number>()
  /** No faults any more but links that are cut. */
  isCalm = false

  constructor(deps: VirtualNetworkDeps) {
    this.#deps = deps
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`)
  }

  /** Everything sent over a link before a time arrives after it. */
  clog(from: string, to: string, untilMs: number): void {
    this.#clogged.set(`${from} ${to}`, untilMs)
  }

  healLink(from: string, to: string): void {
    this.#cut.delete(`${from} ${to}`)
  }

  healAll(): void {
    this.#cut.clear()
    this.#clogged.clear()
  }

  send(from: string, to: string, message: Uint8Array): void {
    const { random, faults } = this.#deps
    const link = `${from} ${to}`
    if (this.#cut.has(link)) return
    if (this.isCalm) {
      this.#plan(CALM_DELAY_MS, link, from, to, message)
      return
    }
    const copies = random() < faults.duplication ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (random() < faults.loss) continue
      const isLate = copy > 0 && random() < faults.lateness
      const usualMs = -Math.log(1 - random()) * faults.delayMs
      this.#plan(isLate ? random() * LATE_MS : usualMs, link, from, to, message)
    }
  }

  #plan(delayMs: number, link: string, from: string, to: string, message: Uint8Array): void {
    const { clock, deliver } = this.#deps
    const clogMs = (this.#clogged.get(link) ?? 0) - clock.nowMs
    // Each delivery has bytes of its own: the receiver may keep and change them.
    const bytes = message.slice()
    clock.after(Math.max(0, clogMs) + delayMs, () => {
      if (!this.#cut.has(link)) deliver(from, to, bytes)
    })
  }
}
