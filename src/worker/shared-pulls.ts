import type { Clock } from '../api/clock.ts'
import type { Task } from '../api/task.ts'
import { PULL_FRESH_MS, PULLS_REMEMBERED_MAX } from './limits.ts'

interface Pull {
  readonly done: Promise<void>
  readonly abort: AbortController
  waiting: number
  endedMs: number | undefined
}

/**
 * One pull for all tasks of the same version of a service, also for those that come right after it: ten replicas ask the registry
 * once. A new version (`--force` too) always asks again.
 */
export class SharedPulls {
  readonly #pull: (task: Task, signal: AbortSignal) => Promise<void>
  readonly #clock: Clock
  readonly #pulls = new Map<string, Pull>()

  constructor(deps: { pull: (task: Task, signal: AbortSignal) => Promise<void>; clock: Clock }) {
    this.#pull = deps.pull
    this.#clock = deps.clock
  }

  /** Rejects with what the pull says; when `signal` aborts only the waiting ends, unless nobody else waits. */
  async pull(task: Task, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const key = JSON.stringify([
      task.Spec.ContainerSpec?.Image,
      task.ServiceID,
      task.Swarmctl.SpecVersion,
    ])
    const known = this.#pulls.get(key)
    const pull = known !== undefined && this.#isFresh(known) ? known : this.#begin(key, task)
    pull.waiting += 1
    let abort: () => void = () => {}
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
    })
    try {
      await Promise.race([pull.done, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
      pull.waiting -= 1
      if (pull.waiting === 0 && pull.endedMs === undefined) {
        this.#pulls.delete(key)
        pull.abort.abort()
      }
    }
  }

  #isFresh({ endedMs }: Pull): boolean {
    // Long after now: the clock was set back. A failure must not count until it comes here again.
    return endedMs === undefined || Math.abs(this.#clock.nowMs() - endedMs) < PULL_FRESH_MS
  }

  #begin(key: string, task: Task): Pull {
    for (const [old, { endedMs }] of this.#pulls) {
      if (this.#pulls.size < PULLS_REMEMBERED_MAX) break
      if (endedMs !== undefined) this.#pulls.delete(old)
    }
    const abort = new AbortController()
    const pull: Pull = {
      done: this.#pull(task, abort.signal).finally(() => {
        pull.endedMs = this.#clock.nowMs()
      }),
      abort,
      waiting: 0,
      endedMs: undefined,
    }
    // Everybody may have stopped waiting when it fails.
    pull.done.catch(() => {})
    this.#pulls.set(key, pull)
    return pull
  }
}
