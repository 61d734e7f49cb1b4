import type { Clock } from '../../api/clock.ts'
import type { NewId } from '../../api/id.ts'
import type { Log } from '../../api/log.ts'
import type { Node } from '../../api/node.ts'
import type { ObjectChange } from '../../api/object.ts'
import type { Task } from '../../api/task.ts'
import { TASK_STATE_ORDER } from '../../api/task-state.ts'
import type { Store } from '../store/store.ts'
import { crowdedOut } from './crowding.ts'
import { type Brake, planBrake } from './node-brake.ts'
import { applyOperation, formatOperation, type Operation, type Plan } from './operation.ts'
import { ReconcileLoop, type ReconcilerDeps } from './reconcile-loop.ts'
import { planRemoved, planService } from './service-plan.ts'
import type { ServiceState } from './service-state.ts'
import { UpdateProgress } from './update-progress.ts'

/**
 * The longest that is waited for a time without looking again, milliseconds: Node's timers end at 25 days, and a clock that is set moves the
 * times of a schedule.
 */
const WAKE_MAX_MS = 60 * 60_000

/** After a refused operation its service is planned again, milliseconds. */
const REFUSED_AGAIN_MS = 5000

/** An operation and the service that it is for. */
interface Planned {
  readonly id: string
  readonly operation: Operation
}

/** Creates, restarts, updates, moves and gives up the tasks of every service. Runs on the leader. */
export class Orchestrator {
  readonly #store: Store
  readonly #clock: Clock
  readonly #newId: NewId
  readonly #log: Log
  readonly #loop: ReconcileLoop
  /** Services that may need something. */
  readonly #dirty = new Set<string>()
  /** Nodes whose tasks may not fit any more. */
  readonly #tight = new Set<string>()
  readonly #progress = new Map<string, UpdateProgress>()
  readonly #wakeups = new Map<string, () => void>()
  /** Why an operation was refused, by service: each reason is logged once. */
  readonly #refused = new Map<string, string>()
  #cancelBrake: (() => void) | undefined
  #isBraking = false
  #unwatch: (() => void) | undefined

  constructor(deps: ReconcilerDeps & { newId: NewId }) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#newId = deps.newId
    this.#log = deps.log.child({ part: 'orchestrator' })
    this.#loop = new ReconcileLoop({
      run: () => this.#reconcile(),
      clock: deps.clock,
      log: this.#log,
    })
  }

  /** Looks at everything once, then at what changes. */
  start(): void {
    this.#markAll()
    for (const { ID } of this.#store.view().list('node')) this.#tight.add(ID)
    this.#unwatch = this.#store.watch((changes) => this.#onChanges(changes))
    this.#loop.start()
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    for (const cancel of this.#wakeups.values()) cancel()
    this.#wakeups.clear()
    this.#cancelBrake?.()
    this.#cancelBrake = undefined
    await this.#loop.stop()
    this.#dirty.clear()
    this.#tight.clear()
    this.#progress.clear()
    this.#refused.clear()
  }

  #markAll(): void {
    const view = this.#store.view()
    for (const service of view.list('service')) this.#dirty.add(service.ID)
    for (const task of view.list('task')) this.#dirty.add(task.ServiceID)
  }

  /** A node's state can matter to any service: one with tasks there, a global one, the brake's. */
  #markNode(id: string): void {
    this.#tight.add(id)
    this.#markAll()
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    const before = this.#dirty.size
    for (const change of changes) this.#mark(change)
    if (this.#dirty.size > before) this.#loop.trigger()
  }

  #mark(change: ObjectChange): void {
    switch (change.kind) {
      case 'service':
        this.#dirty.add((change.object ?? change.old).ID)
        return
      case 'task':
        if (matters(change.object, change.old)) {
          this.#dirty.add((change.object ?? change.old).ServiceID)
        }
        return
      case 'node':
        this.#markNode((change.object ?? change.old).ID)
        return
      case 'cluster':
      case 'network':
      case 'secret':
      case 'config':
        return
      default:
        change satisfies never
    }
  }

  async #reconcile(): Promise<void> {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    const nowMs = this.#clock.nowMs()
    const view = this.#store.view()
    const nodes = new Map(view.list('node').map((node) => [node.ID, node]))
    const brake = this.#brake([...nodes.values()], nowMs)
    const seen = { nodes, held: brake.held, crowded: this.#crowded(nodes), nowMs }
    const planned = dirty.flatMap((id) =>
      this.#plan(id, seen).operations.map((operation) => ({ id, operation })),
    )
    if (planned.length === 0) return
    for (const { operation } of planned) this.#log.debug({}, formatOperation(operation))
    try {
      await this.#commit(planned, nowMs)
    } catch (error) {
      for (const id of dirty) this.#dirty.add(id)
      throw error
    }
  }

  /** Whose node has too little for them. A node is looked at after each change of it, and until all fits. */
  #crowded(nodes: ReadonlyMap<string, Node>): Map<string, string> {
    const view = this.#store.view()
    const crowded = new Map<string, string>()
    for (const id of this.#tight) {
      const node = nodes.get(id)
      const missing = node && crowdedOut(node, view.tasksByNode(id))
      if (missing === undefined || missing.size === 0) this.#tight.delete(id)
      else for (const [taskId, lack] of missing) crowded.set(taskId, lack)
    }
    return crowded
  }

  #plan(id: string, seen: Pick<ServiceState, 'nodes' | 'held' | 'crowded' | 'nowMs'>): Plan {
    const view = this.#store.view()
    const service = view.get('service', id)
    const tasks = view.tasksByService(id)
    this.#wakeups.get(id)?.()
    this.#wakeups.delete(id)
    if (service === undefined) {
      this.#progress.delete(id)
      this.#refused.delete(id)
      // Tasks without a service (a node's own network attachments) are nobody's to remove.
      return id === '' ? { operations: [] } : planRemoved(tasks)
    }
    const progress = this.#progress.get(id) ?? new UpdateProgress()
    this.#progress.set(id, progress)
    const state = { ...seen, service, tasks, cluster: view.cluster(), newId: this.#newId }
    const plan = planService(state, progress)
    if (plan.wakeAtMs !== undefined) this.#wakeAt(id, plan.wakeAtMs, seen.nowMs)
    return plan
  }

  #wakeAt(id: string, atMs: number, nowMs: number): void {
    const delayMs = Math.min(Math.max(0, atMs - nowMs), WAKE_MAX_MS)
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#wakeups.delete(id)
      this.#dirty.add(id)
      this.#loop.trigger()
    })
    this.#wakeups.set(id, cancel)
  }

  #brake(nodes: readonly Node[], nowMs: number): Brake {
    const brake = planBrake(nodes, nowMs)
    this.#cancelBrake?.()
    this.#cancelBrake = undefined
    if (brake.untilMs !== undefined) {
      this.#cancelBrake = this.#clock.schedule(brake.untilMs - nowMs, () => {
        this.#markAll()
        this.#loop.trigger()
      })
    }
    if (brake.isEngaged && !this.#isBraking) {
      this.#log.warn(
        { nodes: [...brake.held] },
        `${brake.held.size} of ${nodes.length} nodes vanished at once: their tasks are not replaced yet; check this manager's network`,
      )
    } else if (!brake.isEngaged && this.#isBraking) {
      this.#log.info({}, 'tasks of nodes that are down are replaced again')
    }
    this.#isBraking = brake.isEngaged
    return brake
  }

  async #commit(planned: readonly Planned[], nowMs: number): Promise<void> {
    const refused = new Map<string, string>()
    await this.#store.batch(
      planned.map(
        ({ operation }) =>
          (tx) =>
            applyOperation(tx, operation),
      ),
      (at, { message }) => {
        const { id, operation } = planned[at] as Planned
        refused.set(id, `${formatOperation(operation)}: ${message}`)
      },
    )
    for (const { id } of planned) if (!refused.has(id)) this.#refused.delete(id)
    for (const [id, reason] of refused) this.#onRefused(id, reason, nowMs)
  }

  /** What one service can't have keeps no other waiting: it is looked at again later, and its reason is logged once. */
  #onRefused(id: string, reason: string, nowMs: number): void {
    if (this.#refused.get(id) !== reason) this.#log.warn({ service: id }, `refused: ${reason}`)
    this.#refused.set(id, reason)
    this.#wakeups.get(id)?.()
    this.#wakeAt(id, nowMs + REFUSED_AGAIN_MS, nowMs)
  }
}

/** Whether a task's change can change a plan: how far it got on its way to running does not. */
const matters = (task: Task | undefined, old: Task | undefined): boolean => {
  if (task === undefined || old === undefined) return true
  if (task.DesiredState !== old.DesiredState || task.NodeID !== old.NodeID) return true
  return (
    task.Status.State !== old.Status.State &&
    TASK_STATE_ORDER[task.Status.State] >= TASK_STATE_ORDER.running
  )
}
