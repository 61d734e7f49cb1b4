import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { backoffMs } from './backoff.ts'
import type { ContainerEvent, EngineFacts, Executor, ObservedContainer } from './executor.ts'
import { ENGINE_BACKOFF_MS_MAX, ENGINE_BACKOFF_MS_MIN, ENGINE_STABLE_MS } from './limits.ts'
import { sleep } from './sleep.ts'

export interface EngineMonitorDeps {
  executor: Executor
  clock: Clock
  log: Log
  /** In [0, 1). */
  random: () => number
  tick: () => number
  /** The Engine answers (again): all there is. `asOf` is the tick when it was asked. */
  onUp: (facts: EngineFacts, containers: ObservedContainer[], asOf: number) => void
  /** The Engine does not answer, with one line of why. */
  onDown: (reason: string) => void
  onEvent: (event: ContainerEvent) => void
}

/** Keeps the one event stream of the local Engine: opens it, then takes stock so that nothing is missed, and again after each break. */
export class EngineMonitor {
  readonly #deps: EngineMonitorDeps
  readonly #nodeId: string
  readonly #closing = new AbortController()
  #attempt = 0
  #current = new AbortController()
  #done: Promise<void> = Promise.resolve()

  constructor(deps: EngineMonitorDeps, options: { nodeId: string }) {
    this.#deps = deps
    this.#nodeId = options.nodeId
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    this.#current.abort()
    await this.#done
  }

  /** Someone found that the Engine does not answer: begins anew, which takes stock when it is back. */
  restart(error: Error): void {
    this.#current.abort(error)
  }

  async #run(): Promise<void> {
    const { clock, executor, log, onDown, onEvent, random } = this.#deps
    while (!this.#closing.signal.aborted) {
      const current = new AbortController()
      this.#current = current
      const sinceMs = clock.nowMs()
      let reason = 'the event stream ended'
      try {
        await executor.watch(
          this.#nodeId,
          { open: () => void this.#takeStock(current), event: onEvent },
          current.signal,
        )
      } catch (thrown) {
        const why: unknown = current.signal.aborted ? current.signal.reason : thrown
        reason = toSwarmctlError(why).message
      }
      if (this.#closing.signal.aborted) return
      if (clock.nowMs() - sinceMs >= ENGINE_STABLE_MS) this.#attempt = 0
      this.#attempt += 1
      if (this.#attempt === 1) log.warn({ reason }, 'the Docker Engine does not answer')
      onDown(reason)
      const delayMs = backoffMs(
        this.#attempt,
        { minMs: ENGINE_BACKOFF_MS_MIN, maxMs: ENGINE_BACKOFF_MS_MAX },
        random(),
      )
      await sleep(clock, delayMs, this.#closing.signal)
    }
  }

  async #takeStock(current: AbortController): Promise<void> {
    const asOf = this.#deps.tick()
    try {
      const [facts, containers] = await Promise.all([
        this.#deps.executor.facts(),
        this.#deps.executor.list(this.#nodeId),
      ])
      if (current.signal.aborted) return
      if (this.#attempt > 0) this.#deps.log.info({}, 'the Docker Engine answers again')
      this.#deps.onUp(facts, containers, asOf)
    } catch (error) {
      current.abort(error)
    }
  }
}
