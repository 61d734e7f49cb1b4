import assert from 'node:assert/strict'
import type { Clock } from '../api/clock.ts'

/** Lets at most so many operations run at the same time; the others wait in order. */
export class Semaphore {
  #free: number
  readonly #waiting: (() => void)[] = []
  readonly #patience: { clock: Clock; holdMs: number } | undefined

  /** `patience`: an operation that takes longer than `holdMs` waits for something itself, and keeps no other from running. */
  constructor(limit: number, patience?: { clock: Clock; holdMs: number }) {
    assert(limit >= 1, 'a semaphore lets at least one operation run')
    this.#free = limit
    this.#patience = patience
  }

  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let isHeld = true
    const release = (): void => {
      if (isHeld) this.#release()
      isHeld = false
    }
    const cancel = this.#patience?.clock.schedule(this.#patience.holdMs, release)
    try {
      return await operation()
    } finally {
      cancel?.()
      release()
    }
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
