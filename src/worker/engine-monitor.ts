import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { backoffMs } from './backoff.ts'
import type { ContainerEvent, EngineFacts, Executor, ObservedContainer } from './executor.ts'
import {
  EARLY_EVENTS_MAX,
  ENGINE_BACKOFF_MS_MAX,
  ENGINE_BACKOFF_MS_MIN,
  ENGINE_FACTS_MS,
  ENGINE_PING_MS,
  ENGINE_PINGS_MISSED_MAX,
  ENGINE_STABLE_MS,
} from './limits.ts'
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
  /** What the Engine says of the node, looked at again. */
  onFacts: (facts: EngineFacts) => void
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
      let openedAtMs: number | undefined
      // What happens while stock is taken is told after it: an answer may be older.
      const early: ContainerEvent[] = []
      let isTaken = false
      const stopPings = this.#ping(current, () => openedAtMs !== undefined)
      let stopLooks = (): void => {}
      let reason = 'the event stream ended'
      try {
        await executor.watch(
          this.#nodeId,
          {
            open: () => {
              openedAtMs = clock.nowMs()
              void this.#takeStock(current, () => {
                isTaken = true
                for (const event of early.splice(0)) onEvent(event)
              })
              stopLooks = this.#lookAgain()
            },
            event: (event) => {
              if (isTaken) return onEvent(event)
              early.push(event)
              if (early.length > EARLY_EVENTS_MAX) current.abort(overrun())
            },
          },
          current.signal,
        )
      } catch (thrown) {
        const why: unknown = current.signal.aborted ? current.signal.reason : thrown
        reason = toSwarmctlError(why).message
      } finally {
        stopPings()
        stopLooks()
      }
      if (this.#closing.signal.aborted) return
      if (openedAtMs !== undefined && clock.nowMs() - openedAtMs >= ENGINE_STABLE_MS)
        this.#attempt = 0
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

  /**
   * An Engine that hangs keeps its event stream open and says nothing, as a quiet one does: it is asked. Counted in beats, so that a
   * daemon that stood still itself blames nobody. Returns what stops it.
   */
  #ping(current: AbortController, isOpen: () => boolean): () => void {
    const { clock, executor } = this.#deps
    let missed = 0
    let isAsking = false
    let cancel = (): void => {}
    const beat = (): void => {
      cancel = clock.schedule(ENGINE_PING_MS, beat)
      if (isAsking || !isOpen()) {
        missed += 1
        if (missed > ENGINE_PINGS_MISSED_MAX) current.abort(silent())
      }
      if (isAsking) return
      isAsking = true
      executor.ping().then(
        () => {
          isAsking = false
          if (isOpen()) missed = 0
        },
        (error: unknown) => current.abort(error),
      )
    }
    cancel = clock.schedule(ENGINE_PING_MS, beat)
    return () => cancel()
  }

  /** Looks at the facts again and again. Returns what stops it. */
  #lookAgain(): () => void {
    const { clock, executor, onFacts } = this.#deps
    let isStopped = false
    let cancel = (): void => {}
    const look = async (): Promise<void> => {
      try {
        const facts = await executor.facts()
        if (!isStopped) onFacts(facts)
      } catch {
        // Whether the Engine is well the pings find out.
      }
      if (!isStopped) cancel = clock.schedule(ENGINE_FACTS_MS, () => void look())
    }
    cancel = clock.schedule(ENGINE_FACTS_MS, () => void look())
    return () => {
      isStopped = true
      cancel()
    }
  }

  async #takeStock(current: AbortController, onTaken: () => void): Promise<void> {
    const asOf = this.#deps.tick()
    try {
      const [facts, containers] = await Promise.all([
        this.#deps.executor.facts(),
        this.#deps.executor.list(this.#nodeId),
      ])
      if (current.signal.aborted) return
      if (this.#attempt > 0) this.#deps.log.info({}, 'the Docker Engine answers again')
      this.#deps.onUp(facts, containers, asOf)
      onTaken()
    } catch (error) {
      current.abort(error)
    }
  }
}

const overrun = (): SwarmctlError =>
  new SwarmctlError(
    'ENGINE_UNAVAILABLE',
    `the Docker Engine tells of more than ${EARLY_EVENTS_MAX} events while it does not say what it runs`,
  )

const SILENT_S = (ENGINE_PING_MS * (ENGINE_PINGS_MISSED_MAX + 1)) / 1000

const silent = (): SwarmctlError =>
  new SwarmctlError(
    'ENGINE_UNAVAILABLE',
    `the Docker Engine does not answer: it takes connections and has said nothing for ${SILENT_S} s`,
  )
