import type { Clock } from '../../../src/api/clock.ts'

interface Timer {
  atMs: number
  sequence: number
  run: () => void
}

/** Time that only `advance` moves. Timers run in order; after each the promises that it settled run to their end. */
export class VirtualClock implements Clock {
  #nowMs = Date.parse('2026-01-01T00:00:00.000Z')
  #sequence = 0
  #timers: Timer[] = []

  nowMs(): number {
    return this.#nowMs
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await settle()
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) {
      this.#timers.splice(this.#timers.indexOf(timer), 1)
      this.#nowMs = Math.max(this.#nowMs, timer.atMs)
      timer.run()
      await settle()
    }
    this.#nowMs = endMs
  }

  #next(endMs: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue
      if (
        first === undefined ||
        timer.atMs < first.atMs ||
        (timer.atMs === first.atMs && timer.sequence < first.sequence)
      ) {
        first = timer
      }
    }
    return first
  }
}

/** Lets all promises that can settle without a timer do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
