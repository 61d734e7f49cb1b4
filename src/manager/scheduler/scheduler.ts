import { type Clock, timestamp } from '../../api/clock.ts'
import { SwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { ObjectChange } from '../../api/object.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { ReconcileLoop, type ReconcilerDeps } from '../orchestrator/reconcile-loop.ts'
import type { Store } from '../store/store.ts'
import type { Tx } from '../store/tx.ts'
import { isFailure } from './node-info.ts'
import { failuresOf, RecentFailures } from './recent-failures.ts'
import { type Assignment, type Schedule, schedule } from './schedule.ts'

/**
 * The allocator's part of an assignment: the task with its addresses on that node. Throws a SwarmctlError when there are none; runs
 * anew when the transaction does.
 */
export type AllocateTaskAddresses = (tx: Tx, task: Task, nodeId: string) => Task

/** Gives pending tasks a node: `pending` becomes `assigned`. Runs on the leader. */
export class Scheduler {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  readonly #allocateTaskAddresses: AllocateTaskAddresses
  readonly #loop: ReconcileLoop
  /** Ids of tasks that wait for a node. */
  readonly #pending = new Set<string>()
  #failures = new RecentFailures()
  #unwatch: (() => void) | undefined

  constructor(deps: ReconcilerDeps & { allocateTaskAddresses: AllocateTaskAddresses }) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#log = deps.log.child({ part: 'scheduler' })
    this.#allocateTaskAddresses = deps.allocateTaskAddresses
    this.#loop = new ReconcileLoop({
      run: () => this.#reconcile(),
      clock: deps.clock,
      log: this.#log,
    })
  }

  start(): void {
    const tasks = this.#store.view().list('task')
    for (const task of tasks) this.#track(task)
    this.#failures = failuresOf(tasks, this.#clock.nowMs())
    this.#unwatch = this.#store.watch((changes) => this.#onChanges(changes))
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    await this.#loop.stop()
    this.#pending.clear()
    this.#failures.clear()
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    let isRelevant = false
    for (const change of changes) {
      if (change.kind === 'task') {
        if (change.object === undefined) this.#pending.delete(change.old.ID)
        else {
          this.#track(change.object)
          if (!isKnownFailure(change.old)) this.#failures.note(change.object, this.#clock.nowMs())
        }
      }
      isRelevant ||= canPlaceMore(change)
    }
    if (isRelevant && this.#pending.size > 0) this.#loop.trigger()
  }

  #track(task: Task): void {
    if (isPending(task)) this.#pending.add(task.ID)
    else this.#pending.delete(task.ID)
  }

  async #reconcile(): Promise<void> {
    const view = this.#store.view()
    const pending = [...this.#pending].flatMap((id) => view.get('task', id) ?? [])
    if (pending.length === 0) return
    const tasks = view.list('task').filter((task) => task.NodeID !== '')
    const nowMs = this.#clock.nowMs()
    const failures = this.#failures.counts(nowMs)
    const result = schedule({ nodes: view.list('node'), tasks, failures, nowMs }, pending)
    const changes = this.#changesOf(result)
    if (changes.length === 0) return
    this.#log.debug(
      { assigned: result.assignments.length, unplaced: result.unplaced.length },
      'scheduled tasks',
    )
    await this.#store.batch(changes)
  }

  #changesOf({ assignments, unplaced }: Schedule): ((tx: Tx) => void)[] {
    const view = this.#store.view()
    const news = unplaced.filter(
      ({ taskId, explanation }) => view.get('task', taskId)?.Status.Err !== explanation,
    )
    return [
      ...assignments.map((assignment) => (tx: Tx) => this.#assign(tx, assignment)),
      ...news.map(
        ({ taskId, explanation }) =>
          (tx: Tx) =>
            this.#explain(tx, taskId, explanation),
      ),
    ]
  }

  #assign(tx: Tx, { taskId, nodeId, genericResources }: Assignment): void {
    const task = tx.get('task', taskId)
    // The node may have gone since: the task stays pending, and the node's change triggers the next run.
    if (task === undefined || !isPending(task)) return
    if (tx.get('node', nodeId)?.Status.State !== 'ready') return
    const Message =
      task.NodeID === ''
        ? 'scheduler assigned task to node'
        : 'scheduler confirmed task can run on preassigned node'
    const Status = { Timestamp: timestamp(this.#clock), State: 'assigned', Message } as const
    const given = genericResources && { GenericResources: genericResources }
    const assigned: Task = { ...task, NodeID: nodeId, Status, ...given }
    try {
      tx.put('task', this.#allocateTaskAddresses(tx, assigned, nodeId))
    } catch (thrown) {
      if (!(thrown instanceof SwarmctlError)) throw thrown
      this.#explain(tx, taskId, `no suitable node (${thrown.message})`)
    }
  }

  #explain(tx: Tx, taskId: string, explanation: string): void {
    const task = tx.get('task', taskId)
    if (task === undefined || !isPending(task) || task.Status.Err === explanation) return
    const Status = {
      ...task.Status,
      Timestamp: timestamp(this.#clock),
      Message: 'pending task scheduling',
      Err: explanation,
    }
    tx.put('task', { ...task, Status })
  }
}

const isPending = (task: Task): boolean =>
  task.Status.State === 'pending' && isWanted(task.DesiredState)

const isKnownFailure = (old: Task | undefined): boolean => old !== undefined && isFailure(old)

/** Whether a task that waits could have a node now: it is new, a node changed, or something was freed. */
const canPlaceMore = (change: ObjectChange): boolean => {
  if (change.kind === 'node' || change.kind === 'network') return true
  if (change.kind !== 'task') return false
  const { object, old } = change
  if (object === undefined) return old.NodeID !== ''
  if (isPending(object)) return old === undefined || !isPending(old)
  if (object.NodeID === '' || old === undefined) return false
  const hasEnded = isTerminal(object.Status.State) && !isTerminal(old.Status.State)
  return hasEnded || isWanted(object.DesiredState) !== isWanted(old.DesiredState)
}
