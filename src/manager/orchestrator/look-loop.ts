import type { Clock } from '../../api/clock.ts'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { Kind } from '../../api/object.ts'
import type { Store } from '../store/store.ts'

export interface LookLoopDeps {
  store: Pick<Store, 'watch'>
  clock: Clock
  log: Log
  /** Looks at everything that is to be done, and does it. */
  look: () => Promise<void>
}

export interface LookLoopOptions {
  /** Objects whose changes are looked at. */
  kinds: readonly Kind[]
  /** How often it looks anyhow, milliseconds. */
  periodMs: number
  /** What is logged of a look that failed. */
  failure: string
}

/**
 * For work that depends on more than the store tells: looks when stored objects change, and every period. One look at a time. One that
 * failed is repeated at the next change or period, where `ReconcileLoop` would wait longer and longer.
 */
export class LookLoop {
  readonly #deps: LookLoopDeps
  readonly #options: LookLoopOptions
  #isRunning = false
  #isBusy = false
  #isDirty = false
  #cancel: () => void = () => {}
  #unwatch: () => void = () => {}

  constructor(deps: LookLoopDeps, options: LookLoopOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Starts with a first look. */
  start(): void {
    this.#isRunning = true
    this.#unwatch = this.#deps.store.watch((changes) => {
      if (changes.some(({ kind }) => this.#options.kinds.includes(kind))) this.trigger()
    })
    this.#tick()
  }

  /** No look begins any more. One that is under way is not waited for: without a quorum it may never end. */
  stop(): void {
    this.#isRunning = false
    this.#cancel()
    this.#unwatch()
  }

  /** One look at a time; what happens meanwhile makes it look once more. */
  trigger(): void {
    this.#isDirty = true
    if (!this.#isBusy) void this.#run()
  }

  #tick(): void {
    if (!this.#isRunning) return
    this.#cancel = this.#deps.clock.schedule(this.#options.periodMs, () => this.#tick())
    this.trigger()
  }

  async #run(): Promise<void> {
    this.#isBusy = true
    try {
      while (this.#isDirty && this.#isRunning) {
        this.#isDirty = false
        await this.#deps.look()
      }
    } catch (error) {
      // The next look tries again: leadership may just have been lost.
      this.#deps.log.warn({ error: toSwarmctlError(error).message }, this.#options.failure)
    } finally {
      this.#isBusy = false
    }
  }
}
