import type { Clock } from '../api/clock.ts'
import { DRAIN_LIMIT_NS } from '../api/defaults.ts'
import { notFound, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { NodeDescription } from '../api/node.ts'
import { nodeLocalNetworks } from '../api/node-local-network.ts'
import type { Task } from '../api/task.ts'
import { templateContext } from '../api/task-template.ts'
import { createdContainer, type Executor, type ObservedContainer } from './executor.ts'
import { ENGINE_HOLD_MS, LISTEN_WAIT_MAX_MS, STOP_CONCURRENCY } from './limits.ts'
import type { OverlayPort, TaskWiring } from './overlay-port.ts'
import { removeContainers } from './remove-containers.ts'
import { Semaphore } from './semaphore.ts'
import { SharedPulls } from './shared-pulls.ts'
import { type Dependencies, type FileStore, type TaskFiles, taskFiles } from './task-files.ts'
import { hasOverlay, servedPorts, stopGraceMs } from './task-progress.ts'

export interface StepsDeps {
  executor: Executor
  overlay: OverlayPort
  files: FileStore
  log: Log
  clock: Clock
  dependencies: Dependencies
  node: () => Pick<NodeDescription, 'Hostname' | 'Platform'>
}

export interface StepsOptions {
  /** Containers created, started or removed at the same time. */
  engineConcurrency: number
}

const imageOf = (task: Task): string => task.Spec.ContainerSpec?.Image ?? ''

/** Whether the node has something to make for the task to be on its networks. */
const hasNetworks = (task: Task): boolean => hasOverlay(task) || nodeLocalNetworks(task).length > 0

const isPinned = (task: Task): boolean => imageOf(task).includes('@sha256:')

/** An image named by its id is here or nowhere: no registry knows it (moby `executor/container/adapter.go`). */
const isImageId = (task: Task): boolean => /^sha256:[0-9a-f]{64}$/.test(imageOf(task))

/** The steps of tasks' lives, done: on the Engine, the overlay and the tmpfs, with bounded concurrency over all tasks. */
export class TaskSteps {
  readonly #deps: StepsDeps
  readonly #engine: Semaphore
  readonly #pulls: SharedPulls
  /** One at a time: the first task of a network makes its bridge, the others find it. */
  readonly #attaches = new Semaphore(1)
  readonly #stops = new Semaphore(STOP_CONCURRENCY)
  /** What `prepare` made, until the container is created. */
  readonly #prepared = new Map<string, { files: TaskFiles; wiring: TaskWiring | undefined }>()
  /** What makes or starts something on this machine now. */
  readonly #making = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(deps: StepsDeps, options: StepsOptions) {
    this.#deps = deps
    this.#engine = new Semaphore(options.engineConcurrency, {
      clock: deps.clock,
      holdMs: ENGINE_HOLD_MS,
    })
    this.#pulls = new SharedPulls({
      pull: (task, signal) => this.#pullNow(task, signal),
      clock: deps.clock,
    })
  }

  /**
   * The daemon ends, the node leaves, or another agent goes on: nothing is made or started from now on, neither what waits for its turn. Whoever
   * takes stock next would not know of it.
   */
  close(): void {
    this.#isClosed = true
  }

  /** What these refuse then says nothing of the task. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Of a closed one: removes every container of the node, also those that were just being made; the Engine's limits bound that wait. */
  async removeAll(nodeId: string): Promise<void> {
    await Promise.allSettled(this.#making)
    const containers = await this.#deps.executor.list(nodeId)
    await removeContainers(containers, (id) => this.remove(id))
  }

  async #make<T>(make: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw unavailable('this node ends its work')
    const made = make()
    this.#making.add(made)
    try {
      return await made
    } finally {
      this.#making.delete(made)
    }
  }

  /** Files on the tmpfs, networks on the node. */
  async prepare(task: Task): Promise<void> {
    const { dependencies, files, node } = this.#deps
    const content = taskFiles(task, dependencies, templateContext(task, node()))
    const [written, wiring] = await Promise.all([
      this.#make(() => files.write(task.ID, content)),
      hasNetworks(task) ? this.#attach(task) : undefined,
    ])
    this.#prepared.set(task.ID, { files: written, wiring })
  }

  /** After a restart of the daemon: the running container's networks are made known again. False: not yet possible. */
  async adopt(task: Task): Promise<boolean> {
    if (!hasNetworks(task)) return true
    try {
      await this.#attach(task)
      return true
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (error.code === 'UNAVAILABLE') return false
      // The container runs; its networks are as it left them.
      this.#deps.log.warn(
        { task: task.ID, error: error.message },
        'could not attach a running task to its networks',
      )
      return true
    }
  }

  #attach(task: Task): Promise<TaskWiring> {
    return this.#attaches.run(() => this.#make(() => this.#deps.overlay.attach(task)))
  }

  /** Pulls where that is needed, then creates the container. Aborting gives up the pull. */
  async create(task: Task, signal: AbortSignal): Promise<ObservedContainer> {
    if (isImageId(task)) return await this.#create(task)
    // An image pinned by its digest can't change: it is pulled only when it is missing. A tag is asked for each time, as Swarm does;
    // when the registry can't be reached the image that is here does.
    const pullError = isPinned(task) ? undefined : await this.#pull(task, signal)
    try {
      return await this.#create(task)
    } catch (error) {
      if (toSwarmctlError(error).code !== 'NOT_FOUND') throw error
      const reason = isPinned(task) ? await this.#pull(task, signal) : pullError
      if (reason !== undefined) throw notFound(`${(error as Error).message}: ${reason.message}`)
      return await this.#create(task)
    }
  }

  /** What the registry has against it; rejects only when it was given up or the Engine does not answer. */
  async #pull(task: Task, signal: AbortSignal): Promise<Error | undefined> {
    try {
      await this.#pulls.pull(task, signal)
      return undefined
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (signal.aborted || error.code === 'ENGINE_UNAVAILABLE') throw error
      return error
    }
  }

  async #pullNow(task: Task, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.executor.pull(task, signal)
    } catch (error) {
      const { message } = error as Error
      if (!signal.aborted)
        this.#deps.log.warn({ image: imageOf(task), error: message }, 'could not pull an image')
      throw error
    }
  }

  async #create(task: Task): Promise<ObservedContainer> {
    const { executor, node } = this.#deps
    const prepared = this.#prepared.get(task.ID) ?? { files: { mounts: [] }, wiring: undefined }
    const id = await this.#engine.run(() =>
      this.#make(() => executor.create({ task, node: node(), ...prepared })),
    )
    return createdContainer(id, task.ID)
  }

  start(containerId: string, task: Task): Promise<ObservedContainer> {
    return this.#engine.run(() => this.#make(() => this.#deps.executor.start(containerId, task.ID)))
  }

  async drain(task: Task, containerPid: number, signal: AbortSignal): Promise<void> {
    const limitMs = (task.Swarmctl.DrainLimit ?? DRAIN_LIMIT_NS) / 1e6
    if (limitMs <= 0) return
    try {
      await this.#deps.overlay.drain(task, containerPid, limitMs, signal)
    } catch (error) {
      // The task has to go: connections that can't be watched can't be waited for.
      this.#deps.log.warn(
        { task: task.ID, error: (error as Error).message },
        'could not wait for the connections of a task to end',
      )
    }
  }

  /** Waits for a task that was just started to listen where the swarm's nodes will send it connections. */
  async listen(task: Task, containerPid: number, signal: AbortSignal): Promise<void> {
    const wait = { ports: servedPorts(task), limitMs: LISTEN_WAIT_MAX_MS }
    await this.#deps.overlay.listening(task, containerPid, wait, signal)
  }

  async stop(container: ObservedContainer, task: Task): Promise<void> {
    await this.#stops.run(() => this.#deps.executor.stop(container.id, stopGraceMs(task)))
  }

  /** How a container ended of which the Engine's event is yet to come. */
  async afterStop(container: ObservedContainer): Promise<ObservedContainer> {
    const ended = await this.#deps.executor.inspect(container.id)
    return ended ?? { ...container, status: 'exited', pid: 0 }
  }

  /** After the container ended: its secrets and addresses go. */
  async release(task: Task): Promise<void> {
    this.#prepared.delete(task.ID)
    await this.#deps.files.remove(task.ID)
    if (hasNetworks(task)) await this.#deps.overlay.detach(task.ID)
  }

  remove(containerId: string): Promise<void> {
    return this.#engine.run(() => this.#deps.executor.remove(containerId))
  }

  dropEndpoint(taskId: string): void {
    this.#deps.overlay.dropEndpoint(taskId)
  }
}
