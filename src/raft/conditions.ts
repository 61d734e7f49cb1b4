import { OutcomeUnknownError } from './errors.ts'

interface Condition {
  readonly isMet: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly deadlineTick: number
}

/** Waits for something about the node to become true, looked at after each turn of its loop. */
export class Conditions {
  #waiting: Condition[] = []
  /** Why nothing is looked at any more. */
  #over: Error | undefined

  /** Rejects with OutcomeUnknownError at a tick, and with whatever `rejectAll` is given. */
  wait(isMet: () => boolean, deadlineTick: number): Promise<void> {
    if (isMet()) return Promise.resolve()
    if (this.#over !== undefined) return Promise.reject(this.#over)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ isMet, resolve, reject, deadlineTick })
    })
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  check(tick: number): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const condition of waiting) {
      if (condition.isMet()) condition.resolve()
      else if (condition.deadlineTick <= tick) {
        condition.reject(new OutcomeUnknownError('it did not happen in time'))
      } else this.#waiting.push(condition)
    }
  }

  /** The loop has ended: so do all waits, and those that would begin later. */
  rejectAll(error: Error): void {
    this.#over = error
    const waiting = this.#waiting
    this.#waiting = []
    for (const condition of waiting) condition.reject(error)
  }
}
