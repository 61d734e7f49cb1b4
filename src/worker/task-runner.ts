import { isDeepStrictEqual } from 'node:util'
import { type Clock, timestamp } from '../api/clock.ts'
import { type SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { Task, TaskStatus } from '../api/task.ts'
import { compareTaskStates, isTerminal, isWanted } from '../api/task-state.ts'
import {
  containerAfter,
  createdContainer,
  EXIT_CODE_LOST,
  EXIT_CODE_UNKNOWN,
  type ObservedContainer,
  type TaskEvent,
} from './executor.ts'
import {
  CLEANUP_RETRY_MS,
  EXIT_CODE_WAIT_MAX_MS,
  PREDECESSOR_MARGIN_MS,
  PREPARE_ATTEMPTS_MAX,
  ROTATION_WAIT_MAX_MS,
} from './limits.ts'
import { hasOverlay, nextStep, type Progress, type Step, stopGraceMs } from './task-progress.ts'
import type { TaskSteps } from './task-steps.ts'

export interface RunnerDeps {
  steps: TaskSteps
  clock: Clock
  log: Log
  /** A new status: to be kept and told to the manager. */
  onStatus: (task: Task, status: TaskStatus) => void
  /** The Engine did not answer: the runner rests until `observe`. */
  onEngineTrouble: (error: Error) => void
  /** Nothing of the task is left on the node. */
  onForgotten: (taskId: string) => void
  dependencies: (task: Task) => Pick<Progress, 'dependenciesHere' | 'dependencyMissing'>
  /** All of the node's. */
  peers: () => Iterable<TaskRunner>
  /** Counts up with each use: tells what the Engine said before from what was done after. */
  tick: () => number
}

const initialProgress = (status: TaskStatus): Progress => ({
  state: status.State,
  container: null,
  dependenciesHere: false,
  dependencyMissing: '',
  created: false,
  prepared: false,
  released: false,
  predecessorRuns: false,
  listening: false,
  served: status.State === 'running',
  outOfRotation: false,
  drained: false,
  stopped: false,
  exitCodeLost: false,
  assigned: true,
})

/** Whether what is said of a container is older than what is known: none goes back to being created, none that ended runs again. */
const isBehind = (said: ObservedContainer, known: ObservedContainer): boolean =>
  (known.status === 'exited' && known.exitCode !== EXIT_CODE_UNKNOWN) ||
  (said.status === 'created' && known.status !== 'created')

/** A container as the node's own record has it. */
const unobserved = (
  taskId: string,
  { id, pid }: { id: string; pid: number },
): ObservedContainer => ({ ...createdContainer(id, taskId), status: 'running', pid })

/** Of a running container that the Engine can only list it tells no process and no ports: these are as they were. */
const withKnown = (said: ObservedContainer, known: ObservedContainer | null): ObservedContainer =>
  said.status === 'running' && said.pid === 0 && known?.status === 'running' && known.id === said.id
    ? { ...known, health: said.health }
    : said

/** Takes one task from step to step: asks `nextStep`, does it, asks again; rests when there is something to wait for. */
export class TaskRunner {
  readonly #deps: RunnerDeps
  #task: Task
  #status: TaskStatus
  readonly #progress: Progress
  /** False until the Engine has said whether there is a container. */
  #engineKnown = false
  #active = false
  #again = false
  readonly #waiters = new Set<() => void>()
  #isAdopted = false
  #prepareAttempts = 0
  #closed = false
  #containerTick = 0
  /** Ends the step that is under way, where that can be ended. */
  #abort = new AbortController()
  #cancelTimer: (() => void) | undefined
  #cancelRotation: (() => void) | undefined
  #cancelExitCode: (() => void) | undefined
  #cancelPredecessor: (() => void) | undefined
  #isPredecessorLate = false

  /** `status`: what the node itself said last, else what the manager says. */
  constructor(deps: RunnerDeps, start: { task: Task; status: TaskStatus }) {
    this.#deps = deps
    this.#task = start.task
    this.#status = start.status
    this.#progress = initialProgress(start.status)
  }

  get task(): Task {
    return this.#task
  }

  get status(): TaskStatus {
    return this.#status
  }

  get container(): ObservedContainer | null {
    return this.#progress.container
  }

  /** The container that runs for all that is known, also of before a restart of the daemon; undefined when there is none. */
  get runningContainer(): { id: string; pid: number } | undefined {
    const container = this.#progress.container
    if (container !== null) return container.status === 'running' ? container : undefined
    const { ContainerStatus, State } = this.#status
    if (this.#engineKnown || isTerminal(State) || !ContainerStatus?.PID) return undefined
    return { id: ContainerStatus.ContainerID, pid: ContainerStatus.PID }
  }

  /** Its end is told, its container runs still. */
  get isEnding(): boolean {
    return isTerminal(this.#progress.state) && this.#progress.container?.status === 'running'
  }

  /** Resolves with the container once it has been started; undefined when the task ends without. */
  async whenStarted(signal: AbortSignal): Promise<ObservedContainer | undefined> {
    for (;;) {
      const { container } = this.#progress
      if (container !== null && container.status !== 'created') return container
      if (this.#closed || signal.aborted || isTerminal(this.#progress.state)) return undefined
      await new Promise<void>((resolve) => {
        // The signal lives as long as somebody reads, and a task may be tried once a second all that time.
        const goOn = (): void => {
          this.#waiters.delete(goOn)
          signal.removeEventListener('abort', goOn)
          resolve()
        }
        this.#waiters.add(goOn)
        signal.addEventListener('abort', goOn)
      })
    }
  }

  /** The manager's newest word on the task. */
  assign(task: Task): void {
    this.#task = task
    this.#progress.assigned = true
    // The manager may know more: e.g. that it gave the task up while the node was away.
    if (
      compareTaskStates(task.Status.State, this.#progress.state) > 0 &&
      isTerminal(task.Status.State)
    ) {
      this.#progress.state = task.Status.State
      this.#status = task.Status
    }
    this.#onWanted()
  }

  /** The task is not this node's any more: it ends, and all of it goes. */
  unassign(): void {
    this.#progress.assigned = false
    this.#onWanted()
  }

  /** What the Engine says; `asOf`: the tick when it was asked. */
  observe(container: ObservedContainer | null, asOf: number): void {
    const known = this.#progress.container
    // An answer older than the container, or older than its end, says nothing.
    const isOld =
      (container === null && known !== null && this.#containerTick > asOf) ||
      (container !== null && container.id === known?.id && isBehind(container, known))
    const running = this.runningContainer
    const before = known ?? (running ? unobserved(this.#task.ID, running) : null)
    if (!isOld) this.#setContainer(container && withKnown(container, before))
    this.#engineKnown = true
    // Who follows its log may have come before the Engine answered.
    this.#notify()
    this.wake()
  }

  onEvent(event: TaskEvent): void {
    const container = this.#progress.container
    if (container === null || container.id !== event.containerId) return
    // The answer of the start says more; this is for one that came through after its task had ended.
    if (event.kind === 'started' && !isTerminal(this.#progress.state)) return
    this.#setContainer(containerAfter(container, event))
    this.wake()
  }

  /** The machine says that the running container's process is gone; the Engine can't be asked how it ended. */
  onProcessGone(containerId: string): void {
    const running = this.runningContainer
    if (running?.id !== containerId) return
    const before = this.#progress.container ?? unobserved(this.#task.ID, running)
    this.#progress.container = before
    this.#setContainer({ ...before, status: 'exited', exitCode: EXIT_CODE_UNKNOWN, pid: 0 })
    this.#engineKnown = true
    this.wake()
  }

  /** The Engine has been silent for long. A task that does not run for all that is known may as well run elsewhere. */
  onEngineAbsent(reason: string): void {
    const { container, state } = this.#progress
    if (!this.#isWanted() || this.runningContainer !== undefined) return
    if (container?.status === 'exited' || compareTaskStates(state, 'running') >= 0) return
    if (compareTaskStates(state, 'ready') < 0) {
      this.#report({ kind: 'report', state: 'rejected', message: 'preparing', err: reason })
    } else {
      // Its turn to start has not come, or a job's work may be under way: a second time would do it twice.
      if (this.#task.DesiredState === 'ready') return
      if (this.#task.JobIteration !== undefined && state === 'starting') return
      // Should it run after all, it is stopped when the Engine is back.
      this.#report({ kind: 'report', state: 'failed', message: 'starting', err: reason })
    }
    this.wake()
  }

  onOutOfRotation(): void {
    this.#progress.outOfRotation = true
    this.wake()
  }

  /** Something that the task may wait for has changed. */
  wake(): void {
    // During a step: what it came for may be news to a step that is about to rest.
    this.#again = true
    if (!this.#active && !this.#closed) void this.#run()
  }

  /** The daemon ends: the container stays as it is. */
  close(): void {
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelRotation?.()
    this.#cancelExitCode?.()
    this.#cancelPredecessor?.()
    this.#abort.abort()
    this.#notify()
  }

  #onWanted(): void {
    // A pull for a task that nobody wants any more is given up, and so is the wait for one to listen.
    if (!this.#progress.served && !this.#isWanted()) this.#abort.abort()
    this.wake()
  }

  #isWanted(): boolean {
    return this.#progress.assigned && isWanted(this.#task.DesiredState)
  }

  #setContainer(container: ObservedContainer | null): void {
    const before = this.#progress.container
    this.#progress.container = container
    if (before?.status !== 'running' || container?.status === 'running') return
    // It ended: nobody needs to wait for its connections, and this node sends it none from now on.
    this.#abort.abort()
    if (hasOverlay(this.#task)) this.#deps.steps.dropEndpoint(this.#task.ID)
    for (const peer of this.#peers()) peer.wake()
  }

  /** The others that are for the same slot, or of the same global service. */
  #peers(): TaskRunner[] {
    const { ServiceID, Slot } = this.#task
    return [...this.#deps.peers()].filter(
      (peer) => peer !== this && peer.task.ServiceID === ServiceID && peer.task.Slot === Slot,
    )
  }

  #findPredecessor(): TaskRunner | undefined {
    if (this.#progress.container?.status !== 'created' || this.#isPredecessorLate) return undefined
    return this.#peers().find((peer) => peer.isEnding)
  }

  async #run(): Promise<void> {
    this.#active = true
    this.#cancelTimer?.()
    try {
      while (this.#again) {
        this.#again = false
        await this.#advance()
      }
    } finally {
      this.#active = false
    }
  }

  /** Step after step, until there is something to wait for. */
  async #advance(): Promise<void> {
    await this.#adopt()
    while (!this.#closed && this.#engineKnown) {
      Object.assign(this.#progress, this.#deps.dependencies(this.#task))
      const predecessor = this.#findPredecessor()
      this.#progress.predecessorRuns = predecessor !== undefined
      const step = nextStep(this.#task, this.#progress)
      if (step.kind === 'wait') {
        if (step.reason === 'predecessor') this.#waitForPredecessor(predecessor!.task)
        if (step.reason === 'out-of-rotation') this.#waitForRotation()
        if (step.reason === 'exit-code') this.#waitForExitCode()
        return
      }
      const goesOn = await this.#try(step)
      this.#notify()
      if (!goesOn) return
    }
  }

  /** A container that ran before this daemon did is made known to the overlay. */
  async #adopt(): Promise<void> {
    if (this.#isAdopted || !this.#engineKnown) return
    this.#isAdopted =
      this.#progress.container?.status !== 'running' || (await this.#deps.steps.adopt(this.#task))
  }

  /** False: the runner rests until it is woken. */
  async #try(step: Exclude<Step, { kind: 'wait' }>): Promise<boolean> {
    this.#abort = new AbortController()
    try {
      await this.#do(step, this.#abort.signal)
      return step.kind !== 'forget'
    } catch (thrown) {
      if (this.#closed || this.#deps.steps.isClosed) return false
      const error = toSwarmctlError(thrown)
      // Preparing is the overlay's word on what the Engine does for it; whether the Engine is there the others know.
      if (error.code === 'ENGINE_UNAVAILABLE' && step.kind !== 'prepare') {
        this.#engineKnown = false
        this.#deps.onEngineTrouble(error)
        return false
      }
      return this.#onRefused(step.kind, error)
    }
  }

  #onRefused(kind: Step['kind'], error: SwarmctlError): boolean {
    if (kind === 'prepare' || kind === 'create') {
      // A step that was given up is no failure of the task.
      if (this.#abort.signal.aborted && !this.#isWanted()) return true
      if (kind === 'prepare' && this.#mayPrepareLater(error)) {
        this.#wakeIn(CLEANUP_RETRY_MS)
        return false
      }
      this.#report({ kind: 'report', state: 'rejected', message: 'preparing', err: error.message })
      return true
    }
    // One that hangs may come through yet: it is asked for again, as long as the task is wanted.
    if (kind === 'start' && error.code !== 'TIMEOUT') {
      // It may have died in the meantime, then its exit says more.
      if (this.#progress.container?.status !== 'exited')
        this.#report({
          kind: 'report',
          state: 'failed',
          message: 'starting',
          err: `starting container failed: ${error.message}`,
        })
      return true
    }
    this.#deps.log.warn(
      { task: this.#task.ID, step: kind, error: error.message },
      'a step of a task failed, trying again',
    )
    this.#wakeIn(CLEANUP_RETRY_MS)
    return false
  }

  #mayPrepareLater(error: SwarmctlError): boolean {
    // The network is not in this node's tables yet: `wake` comes with them.
    if (error.code === 'UNAVAILABLE') return true
    this.#prepareAttempts += 1
    return error.code === 'ENGINE_UNAVAILABLE' && this.#prepareAttempts < PREPARE_ATTEMPTS_MAX
  }

  async #do(step: Exclude<Step, { kind: 'wait' }>, signal: AbortSignal): Promise<void> {
    const { steps } = this.#deps
    const progress = this.#progress
    const task = this.#task
    switch (step.kind) {
      case 'report':
        return this.#report(step)
      case 'prepare':
        await steps.prepare(task)
        progress.prepared = true
        return
      case 'create': {
        const container = await steps.create(task, signal)
        this.#containerTick = this.#deps.tick()
        progress.container = container
        progress.created = true
        return
      }
      case 'start': {
        const started = await steps.start(progress.container!.id, task)
        // Its end, or its health, may have been heard of before the answer of the start.
        const { status, health = 'none' } = progress.container ?? {}
        if (status === 'created')
          this.#setContainer(health === 'none' ? started : { ...started, health })
        return
      }
      case 'listen':
        await steps.listen(task, progress.container!.pid, signal)
        progress.listening = true
        return
      case 'drain':
        await steps.drain(task, progress.container!.pid, signal)
        progress.drained = true
        return
      case 'stop': {
        progress.stopped = true
        await steps.stop(progress.container!, task)
        // The event has the exit code; when the answer overtook it the Engine is asked.
        if (progress.container?.status !== 'running') return
        const stopped = await steps.afterStop(progress.container)
        if (progress.container?.status === 'running') this.#setContainer(stopped)
        return
      }
      case 'release':
        await steps.release(task)
        progress.released = true
        return
      case 'remove':
        await steps.remove(progress.container!.id)
        progress.container = null
        return
      case 'forget':
        this.close()
        return this.#deps.onForgotten(task.ID)
      default:
        step satisfies never
    }
  }

  #report(step: Extract<Step, { kind: 'report' }>): void {
    const container = this.#progress.container
    this.#progress.state = step.state
    if (step.state === 'running') this.#progress.served = true
    const status: TaskStatus = {
      Timestamp: timestamp(this.#deps.clock),
      State: step.state,
      Message: step.message,
      ...(step.err === undefined ? {} : { Err: step.err }),
      ...(container === null
        ? {}
        : {
            ContainerStatus: {
              ContainerID: container.id,
              PID: container.pid,
              ExitCode:
                container.exitCode === EXIT_CODE_UNKNOWN ? EXIT_CODE_LOST : container.exitCode,
            },
          }),
      ...(container === null || container.ports.length === 0
        ? {}
        : { PortStatus: { Ports: container.ports } }),
    }
    if (isDeepStrictEqual(status, this.#status)) return
    this.#status = status
    this.#deps.onStatus(this.#task, status)
  }

  #notify(): void {
    for (const goOn of [...this.#waiters]) goOn()
  }

  #waitForRotation(): void {
    // Once, so that the limit counts from when the task was first to go.
    this.#cancelRotation ??= this.#deps.clock.schedule(ROTATION_WAIT_MAX_MS, () =>
      this.onOutOfRotation(),
    )
  }

  #waitForPredecessor(task: Task): void {
    const limitMs = stopGraceMs(task) + PREDECESSOR_MARGIN_MS
    this.#cancelPredecessor ??= this.#deps.clock.schedule(limitMs, () => {
      this.#isPredecessorLate = true
      this.wake()
    })
  }

  #waitForExitCode(): void {
    this.#cancelExitCode ??= this.#deps.clock.schedule(EXIT_CODE_WAIT_MAX_MS, () => {
      this.#progress.exitCodeLost = true
      this.wake()
    })
  }

  #wakeIn(delayMs: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#deps.clock.schedule(delayMs, () => this.wake())
  }
}
