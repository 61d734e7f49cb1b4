import type { Clock } from '../api/clock.ts'
import { ENGINE_ABSENT_MS } from './limits.ts'

/** While the Engine does not answer: says every ENGINE_ABSENT_MS that it still does not. */
export class EngineAbsence {
  readonly #clock: Clock
  readonly #onAbsent: () => void
  #cancel: (() => void) | undefined

  constructor(deps: { clock: Clock; onAbsent: () => void }) {
    this.#clock = deps.clock
    this.#onAbsent = deps.onAbsent
  }

  /** The Engine does not answer. More than once is no more than once. */
  start(): void {
    this.#cancel ??= this.#clock.schedule(ENGINE_ABSENT_MS, () => {
      this.#cancel = undefined
      this.start()
      this.#onAbsent()
    })
  }

  /** It answers again, or the daemon ends. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
