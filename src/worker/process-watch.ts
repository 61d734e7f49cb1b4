import type { Clock } from '../api/clock.ts'
import type { Log } from '../api/log.ts'
import type { Executor } from './executor.ts'
import { PROCESS_LOOK_MS } from './limits.ts'

/** A task's container that runs for all that is known. */
export interface RunningContainer {
  taskId: string
  id: string
  pid: number
}

interface ProcessWatchDeps {
  executor: Pick<Executor, 'processState'>
  clock: Clock
  log: Log
  /** What to look for, asked at each look. */
  running: () => RunningContainer[]
  onGone: (container: RunningContainer) => void
}

/**
 * Stands in for the Engine's events while it does not answer: looks which containers' processes have ended, so that an Engine that was
 * stopped and stays down does not leave its tasks shown as running.
 */
export class ProcessWatch {
  readonly #deps: ProcessWatchDeps
  #run: AbortController | undefined
  #cancel = (): void => {}
  /** Ids of containers whose process was gone at the last look. */
  #missing: ReadonlySet<string> = new Set()

  constructor(deps: ProcessWatchDeps) {
    this.#deps = deps
  }

  /** The Engine does not answer. More than once is no more than once. */
  start(): void {
    if (this.#run !== undefined) return
    const run = new AbortController()
    this.#run = run
    this.#missing = new Set()
    this.#schedule(run)
  }

  /** It answers again, or the daemon ends: what a look under way finds is not told any more. */
  stop(): void {
    this.#run?.abort()
    this.#run = undefined
    this.#cancel()
  }

  #schedule(run: AbortController): void {
    this.#cancel = this.#deps.clock.schedule(PROCESS_LOOK_MS, () => void this.#look(run))
  }

  async #look(run: AbortController): Promise<void> {
    const { executor, log, onGone, running } = this.#deps
    const states = await Promise.all(
      running().map(async (container) => ({
        container,
        state: await executor.processState(container),
      })),
    )
    if (run.signal.aborted) return
    const gone = states.filter(({ state }) => state === 'gone').map(({ container }) => container)
    // At the first look the Engine may just be about to say how it ended.
    for (const container of gone.filter(({ id }) => this.#missing.has(id))) {
      log.warn({ task: container.taskId }, 'a container ended while the Docker Engine is silent')
      onGone(container)
    }
    this.#missing = new Set(gone.map(({ id }) => id))
    this.#schedule(run)
  }
}
