import type { LogMessage } from '../api/assignment.ts'
import { notFound, SwarmctlError } from '../api/errors.ts'
import type { Task } from '../api/task.ts'
import {
  type ContainerEvent,
  type ContainerHealth,
  type ContainerPlan,
  createdContainer,
  type EngineFacts,
  type Executor,
  type ObservedContainer,
  type ProcessState,
} from './executor.ts'

const FACTS: EngineFacts = {
  Hostname: 'memory',
  Platform: { Architecture: 'x86_64', OS: 'linux' },
  Resources: { NanoCPUs: 4e9, MemoryBytes: 8 * 2 ** 30 },
  Engine: { EngineVersion: '28.0.0', Labels: {}, Plugins: [] },
}

interface Watching {
  event: (event: ContainerEvent) => void
  fail: (error: Error) => void
}

/**
 * An Engine in memory, for tests and the simulator: containers run until something ends them. It can be switched off and on, which
 * its containers outlive (live-restore) unless they are told to die.
 */
export class MemoryExecutor implements Executor {
  readonly containers = new Map<
    string,
    ObservedContainer & { nodeId: string; plan: ContainerPlan }
  >()
  /** What was done, in order: `pull x`, `create t`, `start t`, `stop t`, `remove t`. */
  readonly calls: string[] = []
  /** Images that can't be had, with the registry's words. */
  readonly missingImages = new Map<string, string>()
  /** Images with a healthcheck: how their containers begin. */
  readonly healthOf = new Map<string, ContainerHealth>()
  /** Images whose containers end at once, with this exit code. */
  readonly exitOf = new Map<string, number>()
  node = FACTS
  readonly #watching = new Set<Watching>()
  #isUp = true
  #isHanging = false
  #serial = 0

  async facts(): Promise<EngineFacts> {
    this.#requireUp()
    return this.node
  }

  async ping(): Promise<void> {
    if (this.#isHanging) await new Promise(() => {})
    this.#requireUp()
  }

  async processState({ id, pid }: { id: string; pid: number }): Promise<ProcessState> {
    return this.containers.get(id)?.pid === pid ? 'alive' : 'gone'
  }

  async list(nodeId: string): Promise<ObservedContainer[]> {
    this.#requireUp()
    return [...this.containers.values()].filter((c) => c.nodeId === nodeId).map(observed)
  }

  async pull(task: Task): Promise<void> {
    this.#requireUp()
    const image = task.Spec.ContainerSpec?.Image ?? ''
    this.calls.push(`pull ${image}`)
    const reason = this.missingImages.get(image)
    if (reason !== undefined) throw new SwarmctlError('INTERNAL', reason)
  }

  async create(plan: ContainerPlan): Promise<string> {
    this.#requireUp()
    const { task } = plan
    const image = task.Spec.ContainerSpec?.Image ?? ''
    if (this.missingImages.has(image)) throw notFound(`No such image: ${image}`)
    for (const container of this.containers.values())
      if (container.taskId === task.ID) return container.id
    this.calls.push(`create ${task.ID}`)
    const id = `container${++this.#serial}`
    this.containers.set(id, {
      ...createdContainer(id, task.ID),
      nodeId: task.NodeID,
      plan,
    })
    return id
  }

  async start(containerId: string): Promise<ObservedContainer> {
    this.#requireUp()
    const container = this.#get(containerId)
    this.calls.push(`start ${container.taskId}`)
    const image = container.plan.task.Spec.ContainerSpec?.Image ?? ''
    container.status = 'running'
    container.pid = 1000 + this.#serial
    container.health = this.healthOf.get(image) ?? 'none'
    this.#tell({ kind: 'started', taskId: container.taskId, containerId })
    const exitCode = this.exitOf.get(image)
    if (exitCode !== undefined) this.end(container.taskId, exitCode)
    return observed(container)
  }

  async inspect(containerId: string): Promise<ObservedContainer | undefined> {
    this.#requireUp()
    const container = this.containers.get(containerId)
    return container && observed(container)
  }

  async stop(containerId: string): Promise<void> {
    this.#requireUp()
    const container = this.containers.get(containerId)
    if (container?.status !== 'running') return
    this.calls.push(`stop ${container.taskId}`)
    this.end(container.taskId, 143)
  }

  async remove(containerId: string): Promise<void> {
    this.#requireUp()
    const container = this.containers.get(containerId)
    if (container === undefined) return
    this.calls.push(`remove ${container.taskId}`)
    this.containers.delete(containerId)
    this.#tell({ kind: 'removed', taskId: container.taskId, containerId })
  }

  watch(
    _nodeId: string,
    on: { open: () => void; event: (event: ContainerEvent) => void },
    signal: AbortSignal,
  ): Promise<void> {
    return new Promise((_, reject) => {
      const watching = { event: on.event, fail: (error: Error) => end(error) }
      const end = (error: Error): void => {
        this.#watching.delete(watching)
        reject(error)
      }
      if (!this.#isUp) return reject(down())
      this.#watching.add(watching)
      signal.addEventListener('abort', () => end(new SwarmctlError('INTERNAL', 'aborted')))
      if (!this.#isHanging) on.open()
    })
  }

  async *logs(containerId: string): AsyncGenerator<LogMessage> {
    yield {
      timestamp: '2026-01-01T00:00:00.000000000Z',
      stream: 'stdout',
      data: new TextEncoder().encode(`log of ${this.#get(containerId).taskId}\n`),
    }
  }

  /** The task's container ends by itself. */
  end(taskId: string, exitCode: number): void {
    const container = this.of(taskId)
    if (container === undefined) return
    container.status = 'exited'
    container.pid = 0
    container.exitCode = exitCode
    this.#tell({ kind: 'died', taskId, containerId: container.id, exitCode })
  }

  setHealth(taskId: string, health: ContainerHealth): void {
    const container = this.of(taskId)
    if (container === undefined) return
    container.health = health
    this.#tell({ kind: 'health', taskId, containerId: container.id, health })
  }

  /** The task's container. */
  of(taskId: string): (ObservedContainer & { plan: ContainerPlan }) | undefined {
    return [...this.containers.values()].find((container) => container.taskId === taskId)
  }

  switchOff(): void {
    this.#isUp = false
    for (const { fail } of [...this.#watching]) fail(down())
  }

  switchOn(): void {
    this.#isUp = true
    this.#isHanging = false
  }

  /** Takes connections and says nothing any more. */
  hang(): void {
    this.#isHanging = true
  }

  #tell(event: ContainerEvent): void {
    if (this.#isUp && !this.#isHanging) for (const watching of this.#watching) watching.event(event)
  }

  #get(containerId: string) {
    const container = this.containers.get(containerId)
    if (container === undefined) throw notFound(`No such container: ${containerId}`)
    return container
  }

  #requireUp(): void {
    if (!this.#isUp) throw down()
  }
}

const down = (): SwarmctlError =>
  new SwarmctlError('ENGINE_UNAVAILABLE', 'the Docker Engine does not answer: switched off')

const observed = ({
  nodeId: _,
  plan: __,
  ...container
}: ObservedContainer & { nodeId: string; plan: ContainerPlan }): ObservedContainer => ({
  ...container,
})
