import type { Clock } from '../../api/clock.ts'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { Store } from '../store/store.ts'

/** Wait before a failed run is repeated: grows from the first to the last, milliseconds. */
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5000

/** What every reconciler of the leader works with. */
export interface ReconcilerDeps {
  store: Store
  clock: Clock
  log: Log
}

/**
 * Runs one reconciler: never twice at the same time, once more when it was triggered during a run, again after a pause when it failed.
 * A trigger runs in a microtask, so that all changes of one applied log entry are seen together and nothing waits for a timer.
 */
export class ReconcileLoop {
  readonly #run: () => Promise<void>
  readonly #clock: Clock
  readonly #log: Log
  #state: 'stopped' | 'idle' | 'running' | 'waiting' = 'stopped'
  #isTriggered = false
  #retryMs = RETRY_FIRST_MS
  #cancelRetry: (() => void) | undefined
  #finished: Promise<void> = Promise.resolve()

  constructor(deps: { run: () => Promise<void>; clock: Clock; log: Log }) {
    this.#run = deps.run
    this.#clock = deps.clock
    this.#log = deps.log
  }

  /** Starts with a first run. */
  start(): void {
    if (this.#state !== 'stopped') return
    this.#state = 'idle'
    this.trigger()
  }

  /** Resolves when a run that is under way has ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    this.#isTriggered = false
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    await this.#finished
  }

  /** Asks for a run that sees everything applied before it begins. */
  trigger(): void {
    if (this.#state === 'stopped') return
    this.#isTriggered = true
    if (this.#state !== 'idle') return
    this.#state = 'running'
    this.#finished = this.#work()
  }

  async #work(): Promise<void> {
    await null
    try {
      while (this.#isTriggered && this.#state === 'running') {
        this.#isTriggered = false
        await this.#run()
        this.#retryMs = RETRY_FIRST_MS
      }
      if (this.#state === 'running') this.#state = 'idle'
    } catch (thrown) {
      this.#retryLater(thrown)
    }
  }

  /** A write can fail whenever leadership is lost or a quorum is missing: what is to be done then still is. */
  #retryLater(thrown: unknown): void {
    if (this.#state === 'stopped') return
    const { code, message } = toSwarmctlError(thrown)
    this.#log.warn({ code, retryMs: this.#retryMs, err: thrown }, `reconcile failed: ${message}`)
    this.#state = 'waiting'
    this.#cancelRetry = this.#clock.schedule(this.#retryMs, () => {
      if (this.#state !== 'waiting') return
      this.#state = 'idle'
      this.trigger()
    })
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS)
  }
}
