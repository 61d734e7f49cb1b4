import type { Log } from '../../../src/api/log.ts'
import type { Node } from '../../../src/api/node.ts'
import type { Service } from '../../../src/api/service.ts'
import type { ServiceSpec } from '../../../src/api/service-spec.ts'
import { ServiceSpec as ServiceSpecSchema } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import {
  compareTaskStates,
  isTerminal,
  isWanted,
  type TaskState,
} from '../../../src/api/task-state.ts'
import { Allocator } from '../../../src/manager/allocator/allocator.ts'
import { allocateTaskAddresses } from '../../../src/manager/allocator/task-addresses.ts'
import {
  afterUpdate,
  newJobStatus,
  newScheduleStatus,
} from '../../../src/manager/control/job-status.ts'
import { swapSpecs } from '../../../src/manager/control/services.ts'
import { Orchestrator } from '../../../src/manager/orchestrator/orchestrator.ts'
import { TaskReaper } from '../../../src/manager/orchestrator/task-reaper.ts'
import { Scheduler } from '../../../src/manager/scheduler/scheduler.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { THIS_TRANSACTION } from '../../../src/manager/store/this-transaction.ts'
import { sampleCluster, sampleNode, sampleService } from '../objects.ts'
import { settle, VirtualClock } from './virtual-clock.ts'

export const quietLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => quietLog,
}

/** A log that keeps its warnings. */
export const warningLog = (warnings: string[]): Log => {
  const log: Log = { ...quietLog, warn: (_f, m) => warnings.push(m), child: () => log }
  return log
}

/** How long each step of a fake agent takes, milliseconds. */
export interface AgentPace {
  prepareMs: number
  startMs: number
  stopMs: number
}

/** The tests' missed-heartbeat limit, milliseconds. */
export const DOWN_AFTER_MS = 3000

/**
 * A leader's loops over a store in memory, with agents that run containers in name only. What a container does is its image's name:
 * `ok`, `broken` (never starts), `broken-on:<node>` (never starts there), `crash:<ms>` and `exit:<ms>` (after running so long).
 */
export class World {
  readonly clock = new VirtualClock()
  readonly state = new StoreState()
  readonly proposer = new MemoryProposer(this.state)
  readonly store = new Store({ state: this.state, proposer: this.proposer, clock: this.clock })
  readonly warnings: string[] = []
  readonly agents = new Map<string, FakeAgent>()
  readonly pace: AgentPace
  #loops: { start(): void; stop(): Promise<void> }[] = []
  #ids = 0

  constructor(pace: AgentPace = { prepareMs: 100, startMs: 200, stopMs: 300 }) {
    this.pace = pace
    this.store.watch((changes) => {
      for (const change of changes) {
        if (change.kind !== 'task') continue
        const task = change.object ?? change.old
        this.agents.get(task.NodeID)?.sync(task.ID)
      }
    })
  }

  newId = (): string => `id${String(this.#ids++).padStart(6, '0')}`

  /** What a new leader starts. */
  startLoops(): void {
    const deps = {
      store: this.store,
      clock: this.clock,
      newId: this.newId,
      log: warningLog(this.warnings),
    }
    this.#loops = [
      new Allocator(deps),
      new Orchestrator(deps),
      new TaskReaper(deps),
      new Scheduler({ ...deps, allocateTaskAddresses }),
    ]
    for (const loop of this.#loops) loop.start()
  }

  async stopLoops(): Promise<void> {
    for (const loop of this.#loops) await loop.stop()
    this.#loops = []
  }

  /** A cluster of `nodeCount` nodes named n1… with running loops. */
  static async start(nodeCount: number, pace?: AgentPace): Promise<World> {
    const world = new World(pace)
    await world.boot(nodeCount)
    return world
  }

  async boot(nodeCount: number): Promise<void> {
    await this.store.update((tx) => tx.put('cluster', sampleCluster()))
    for (let index = 1; index <= nodeCount; index++) await this.addNode(index)
    this.startLoops()
  }

  /** All nodes back and in use. */
  async heal(): Promise<void> {
    for (const id of this.agents.keys()) {
      await this.revive(id)
      await this.setAvailability(id, 'active')
    }
  }

  async addNode(index: number, change: Partial<Node> = {}): Promise<void> {
    const node = sampleNode(`n${index}`, index, change)
    this.agents.set(node.ID, new FakeAgent(node.ID, this))
    await this.store.update((tx) => tx.put('node', node))
  }

  async changeNode(id: string, change: (node: Node) => Partial<Node>): Promise<void> {
    await this.store.update((tx) => {
      const node = tx.get('node', id)
      if (node !== undefined) tx.put('node', { ...node, ...change(node) })
    })
  }

  async setAvailability(id: string, Availability: Node['Spec']['Availability']): Promise<void> {
    await this.changeNode(id, (node) => ({ Spec: { ...node.Spec, Availability } }))
  }

  /** The machine stops; the dispatcher notices after DOWN_AFTER_MS. */
  kill(id: string): void {
    const agent = this.agents.get(id)
    if (agent === undefined || !agent.isAlive) return
    agent.die()
    this.clock.schedule(DOWN_AFTER_MS, () => {
      if (!agent.isAlive) void this.#setNodeState(id, 'down')
    })
  }

  async revive(id: string): Promise<void> {
    const agent = this.agents.get(id)
    if (agent === undefined || agent.isAlive) return
    agent.isAlive = true
    await this.#setNodeState(id, 'ready')
    for (const task of this.store.view().tasksByNode(id)) agent.sync(task.ID)
  }

  #setNodeState(id: string, State: Node['Status']['State']): Promise<void> {
    return this.changeNode(id, (node) => ({ Status: { ...node.Status, State } }))
  }

  async createService(name: string, spec: SpecChange = {}): Promise<string> {
    await this.store.update((tx) =>
      tx.put(
        'service',
        sampleService(name, name, {
          Spec: makeSpec(name, spec),
          Swarmctl: {
            SpecVersion: THIS_TRANSACTION,
            ...newScheduleStatus(makeSpec(name, spec), this.#now()),
          },
          ...newJobStatus(makeSpec(name, spec), this.#now()),
        }),
      ),
    )
    await settle()
    return name
  }

  /** As control does it. */
  async updateService(id: string, change: SpecChange): Promise<void> {
    await this.store.update((tx) => {
      const old = tx.get('service', id)
      if (old === undefined) return
      const { UpdateStatus: _, ...rest } = old
      const updated = {
        ...rest,
        Spec: mergeSpec(old.Spec, change),
        PreviousSpec: old.Spec,
        Swarmctl: {
          ...old.Swarmctl,
          SpecVersion: THIS_TRANSACTION,
          PreviousSpecVersion: old.Swarmctl.SpecVersion,
        },
      }
      tx.put('service', afterUpdate(old, updated, this.#now()))
    })
    await settle()
  }

  /** The verb `service rollback`, as control does it. */
  async rollBackService(id: string): Promise<void> {
    await this.store.update((tx) => {
      const old = tx.get('service', id)
      if (old !== undefined)
        tx.put('service', afterUpdate(old, swapSpecs(old, this.#now()), this.#now()))
    })
    await settle()
  }

  #now(): string {
    return new Date(this.clock.nowMs()).toISOString()
  }

  async removeService(id: string): Promise<void> {
    await this.store.update((tx) => {
      if (tx.get('service', id) !== undefined) tx.remove('service', id)
    })
    await settle()
  }

  service(id: string): Service {
    const service = this.store.view().get('service', id)
    if (service === undefined) throw new Error(`no service ${id}`)
    return service
  }

  tasks(serviceId: string): Task[] {
    return this.store.view().tasksByService(serviceId)
  }

  /** Tasks that are wanted and run. */
  running(serviceId: string): Task[] {
    return this.tasks(serviceId).filter(
      (task) => isWanted(task.DesiredState) && task.Status.State === 'running',
    )
  }

  wanted(serviceId: string): Task[] {
    return this.tasks(serviceId).filter((task) => isWanted(task.DesiredState))
  }

  /** Tasks whose container runs, by the machines' own truth. */
  containers(): Task[] {
    const view = this.store.view()
    return [...this.agents.values()].flatMap((agent) =>
      [...agent.running].flatMap((id) => view.get('task', id) ?? []),
    )
  }
}

/** Parts of a spec; `TaskTemplate` and `UpdateConfig` are merged, the rest replaced. */
export type SpecChange = Partial<ServiceSpec> & { image?: string; replicas?: number }

const makeSpec = (name: string, change: SpecChange): ServiceSpec =>
  mergeSpec(
    ServiceSpecSchema.parse({
      Name: name,
      TaskTemplate: { ContainerSpec: { Image: 'ok' } },
      Mode: { Replicated: { Replicas: 1 } },
    }),
    change,
  )

const mergeSpec = (spec: ServiceSpec, change: SpecChange): ServiceSpec => {
  const { image, replicas, ...parts } = change
  const template = { ...spec.TaskTemplate, ...parts.TaskTemplate }
  return {
    ...spec,
    ...parts,
    UpdateConfig: { Parallelism: 1, ...spec.UpdateConfig, ...parts.UpdateConfig },
    TaskTemplate:
      image === undefined
        ? template
        : { ...template, ContainerSpec: { ...template.ContainerSpec, Image: image } },
    ...(replicas === undefined ? {} : { Mode: { Replicated: { Replicas: replicas } } }),
  }
}

class FakeAgent {
  readonly #nodeId: string
  readonly #world: World
  isAlive = true
  /** Ids of tasks whose container runs. */
  readonly running = new Set<string>()
  /** Steps that are under way, by task id. */
  readonly #busy = new Map<string, () => void>()

  constructor(nodeId: string, world: World) {
    this.#nodeId = nodeId
    this.#world = world
  }

  die(): void {
    this.isAlive = false
    this.running.clear()
    for (const cancel of this.#busy.values()) cancel()
    this.#busy.clear()
  }

  /** Takes the task's next step, if it is this node's and there is one. */
  sync(taskId: string): void {
    if (!this.isAlive) return
    const task = this.#world.store.view().get('task', taskId)
    if (task === undefined || task.NodeID !== this.#nodeId) {
      this.#step(taskId, undefined)
      this.running.delete(taskId)
      return
    }
    const { State } = task.Status
    if (isTerminal(State) || compareTaskStates(State, 'assigned') < 0) return
    if (!isWanted(task.DesiredState)) this.#stop(task)
    else if (!this.#busy.has(taskId)) this.#goOn(task)
  }

  #goOn(task: Task): void {
    const { prepareMs, startMs } = this.#world.pace
    const [behaviour, detail] = (task.Spec.ContainerSpec?.Image ?? '').split(':')
    const isBroken =
      behaviour === 'broken-on' ? detail === this.#nodeId : behaviour?.startsWith('broken')
    const afterMs = behaviour === 'crash' || behaviour === 'exit' ? detail : undefined
    const goalState: TaskState = task.DesiredState === 'ready' ? 'ready' : 'running'
    if (compareTaskStates(task.Status.State, 'ready') < 0) {
      this.#step(task.ID, prepareMs, () => this.#report(task.ID, 'ready'))
    } else if (goalState === 'running' && task.Status.State === 'ready') {
      this.running.add(task.ID)
      this.#step(task.ID, startMs, () => {
        this.#report(task.ID, isBroken ? 'failed' : 'running')
      })
    } else if (task.Status.State === 'running' && !this.running.has(task.ID)) {
      // The machine was gone in between.
      this.#report(task.ID, 'failed')
    } else if (task.Status.State === 'running' && afterMs !== undefined) {
      this.#step(task.ID, Number(afterMs), () => {
        this.#report(task.ID, behaviour === 'exit' ? 'complete' : 'failed')
      })
    }
  }

  #stop(task: Task): void {
    const key = `stop ${task.ID}`
    if (this.#busy.has(key)) return
    this.#step(task.ID, undefined)
    const stopMs = this.running.has(task.ID) ? this.#world.pace.stopMs : 0
    this.#busy.set(
      key,
      this.#world.clock.schedule(stopMs, () => {
        this.#busy.delete(key)
        this.#report(task.ID, 'shutdown')
      }),
    )
  }

  /** Replaces the task's step that is under way. */
  #step(taskId: string, delayMs: number | undefined, run?: () => void): void {
    this.#busy.get(taskId)?.()
    this.#busy.delete(taskId)
    if (delayMs === undefined || run === undefined) return
    this.#busy.set(
      taskId,
      this.#world.clock.schedule(delayMs, () => {
        this.#busy.delete(taskId)
        run()
      }),
    )
  }

  #report(taskId: string, State: TaskState): void {
    if (isTerminal(State)) this.running.delete(taskId)
    void this.#world.store.update((tx) => {
      const task = tx.get('task', taskId)
      if (task === undefined || compareTaskStates(State, task.Status.State) <= 0) return
      const Timestamp = new Date(this.#world.clock.nowMs()).toISOString()
      tx.put('task', { ...task, Status: { Timestamp, State, Message: State } })
    })
  }
}
