import type { OverlayMessage } from '../api/assignment.ts'
import { OVERLAY_PENDING_MAX } from './limits.ts'

/** Applies overlay messages one after the other, apart from the session's other messages. */
export class OverlayQueue {
  readonly #apply: (message: OverlayMessage) => Promise<void>
  #pending: OverlayMessage[] = []
  #working: Promise<void> | undefined
  #room: (() => void) | undefined

  constructor(apply: (message: OverlayMessage) => Promise<void>) {
    this.#apply = apply
  }

  /** Resolves when there is room for more. */
  async push(message: OverlayMessage): Promise<void> {
    // A complete view makes everything before it needless.
    if (message.complete) this.#pending = []
    this.#pending.push(message)
    this.#working ??= this.#work()
    if (this.#pending.length >= OVERLAY_PENDING_MAX)
      await new Promise<void>((resolve) => {
        this.#room = resolve
      })
  }

  /** What belongs to an ended session is not applied any more. */
  clear(): void {
    this.#pending = []
    this.#room?.()
  }

  async #work(): Promise<void> {
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      await this.#apply(next)
      this.#room?.()
      this.#room = undefined
    }
    this.#working = undefined
  }
}
