import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { Store } from '../manager/store/store.ts'
import type { NodeKeys } from './node-keys.ts'

/** After a failure (no quorum, a full disk) it is tried again after this time. */
const RETRY_MS = 1_000

/**
 * Keeps a manager's keys on disk locked as the cluster wants them. It acts on what a linearizable read shows: while a log is
 * replayed the state says what was once so, and a key that was locked since then must not be written down plain.
 */
export class Autolock {
  readonly #deps: { store: Store; keys: NodeKeys; clock: Clock; log: Log }
  #unwatch: () => void = () => {}
  #cancel: () => void = () => {}
  #isBusy = false
  #running: Promise<void> = Promise.resolve()
  #isDirty = false
  #isRunning = false
  /** The last failure, which is told once. */
  #told = ''

  constructor(deps: { store: Store; keys: NodeKeys; clock: Clock; log: Log }) {
    this.#deps = deps
  }

  start(): void {
    this.#isRunning = true
    this.#unwatch = this.#deps.store.watch((changes) => {
      if (changes.some((change) => change.kind === 'cluster')) this.#look()
    })
    this.#look()
  }

  /** Nothing begins any more; resolves when the keys are left alone. A read that is under way has to end by itself. */
  async stop(): Promise<void> {
    this.#isRunning = false
    this.#unwatch()
    this.#cancel()
    await this.#running
  }

  /** One look at a time; what happens meanwhile makes it look once more. */
  #look(): void {
    this.#isDirty = true
    if (!this.#isBusy && this.#isRunning) this.#running = this.#run()
  }

  async #run(): Promise<void> {
    const { store, keys, clock, log } = this.#deps
    this.#isBusy = true
    try {
      while (this.#isDirty && this.#isRunning) {
        this.#isDirty = false
        await store.readBarrier()
        const cluster = store.view().cluster()
        if (cluster && this.#isRunning) await keys.lockWith(cluster.Swarmctl.UnlockKey)
      }
    } catch (error) {
      this.#isDirty = true
      const { code, message } = toSwarmctlError(error)
      // Without a leader nobody can say what holds; with one again it is looked at.
      if (code !== 'UNAVAILABLE' && message !== this.#told) {
        log.warn({ error: message }, "the keys on disk don't follow yet")
        this.#told = message
      }
      this.#cancel()
      if (this.#isRunning) this.#cancel = clock.schedule(RETRY_MS, () => this.#look())
    } finally {
      this.#isBusy = false
    }
  }
}
