import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import { isAttachment } from '../../api/network-attachment.ts'
import type { ObjectChange } from '../../api/object.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import type { Store } from '../store/store.ts'
import { planEndedAttachments } from './ended-attachments.ts'
import { applyOperation, formatOperation, type Operation } from './operation.ts'
import { historyLimitOf, isInTheWay, planOrphans, planReap } from './reap-plan.ts'
import { ReconcileLoop, type ReconcilerDeps } from './reconcile-loop.ts'

/**
 * The tasks of a removed service are deleted all at once, a while after the last of them has ended (swarmkit reaps every 250 ms):
 * `docker stack rm --detach=false` adds up how often it saw an ended one, and never ends when their number drops meanwhile.
 */
const REMOVED_REAP_MS = 250

/** Deletes tasks that nobody needs any more and gives up those whose node is lost for good. Runs on the leader. */
export class TaskReaper {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  readonly #loop: ReconcileLoop
  /** Services with tasks that may be deleted. */
  readonly #dirty = new Set<string>()
  /** Removed services, whose tasks wait a little. */
  readonly #leaving = new Set<string>()
  #areNodesDirty = true
  #areAttachmentsDirty = true
  #cancelWakeup: (() => void) | undefined
  #cancelLeaving: (() => void) | undefined
  #unwatch: (() => void) | undefined

  constructor(deps: ReconcilerDeps) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#log = deps.log.child({ part: 'task-reaper' })
    this.#loop = new ReconcileLoop({
      run: () => this.#reconcile(),
      clock: deps.clock,
      log: this.#log,
    })
  }

  start(): void {
    this.#markAll()
    this.#unwatch = this.#store.watch((changes) => this.#onChanges(changes))
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#cancelWakeup?.()
    this.#cancelWakeup = undefined
    this.#cancelLeaving?.()
    this.#cancelLeaving = undefined
    this.#leaving.clear()
    await this.#loop.stop()
    this.#dirty.clear()
  }

  #markAll(): void {
    for (const task of this.#store.view().list('task')) this.#dirty.add(task.ServiceID)
    this.#areNodesDirty = true
    this.#areAttachmentsDirty = true
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    for (const change of changes) {
      if (change.kind === 'cluster') this.#markAll()
      else if (change.kind === 'node' && hasLeft(change)) this.#markAll()
      else if (change.kind === 'task' && change.object && isAttachment(change.object)) {
        this.#areAttachmentsDirty ||= isTerminal(change.object.Status.State)
      } else if (change.kind === 'task' && change.object && !isWanted(change.object.DesiredState)) {
        this.#mark(change.object.ServiceID)
        this.#areNodesDirty ||= isInTheWay(change.object) && !isTerminal(change.object.Status.State)
      } else if (change.kind === 'task' && change.action === 'create') {
        this.#dirty.add(change.object.ServiceID)
      }
    }
    const isDirty = this.#dirty.size > 0 || this.#areNodesDirty || this.#areAttachmentsDirty
    if (isDirty) this.#loop.trigger()
  }

  #mark(serviceId: string): void {
    if (this.#store.view().get('service', serviceId) !== undefined) {
      this.#dirty.add(serviceId)
      return
    }
    this.#leaving.add(serviceId)
    this.#cancelLeaving ??= this.#clock.schedule(REMOVED_REAP_MS, () => {
      this.#cancelLeaving = undefined
      // One whose tasks still end is marked again when the next of them has.
      for (const id of this.#leaving) if (this.#hasEnded(id)) this.#dirty.add(id)
      this.#leaving.clear()
      this.#loop.trigger()
    })
  }

  #hasEnded(serviceId: string): boolean {
    return this.#planReap(serviceId).length === this.#store.view().tasksByService(serviceId).length
  }

  async #reconcile(): Promise<void> {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    try {
      const operations = [
        ...this.#planOrphans(),
        ...this.#planEndedAttachments(),
        ...dirty.flatMap((id) => this.#planReap(id)),
      ]
      if (operations.length === 0) return
      for (const operation of operations) this.#log.debug({}, formatOperation(operation))
      await this.#store.batch(operations.map((operation) => (tx) => applyOperation(tx, operation)))
    } catch (error) {
      for (const id of dirty) this.#dirty.add(id)
      this.#areNodesDirty = true
      this.#areAttachmentsDirty = true
      throw error
    }
  }

  #planReap(serviceId: string): Operation[] {
    const view = this.#store.view()
    const nodes = new Map(view.list('node').map((node) => [node.ID, node]))
    const limit = historyLimitOf(view.cluster())
    return planReap(view.tasksByService(serviceId), nodes, limit).operations
  }

  #planEndedAttachments(): Operation[] {
    if (!this.#areAttachmentsDirty) return []
    this.#areAttachmentsDirty = false
    return planEndedAttachments(this.#store.view().list('task')).operations
  }

  #planOrphans(): Operation[] {
    if (!this.#areNodesDirty) return []
    this.#areNodesDirty = false
    const view = this.#store.view()
    const nodes = new Map(view.list('node').map((node) => [node.ID, node]))
    const nowMs = this.#clock.nowMs()
    const { operations, wakeAtMs } = planOrphans(view.list('task'), nodes, nowMs)
    this.#cancelWakeup?.()
    this.#cancelWakeup = undefined
    if (wakeAtMs !== undefined) {
      this.#cancelWakeup = this.#clock.schedule(wakeAtMs - nowMs, () => {
        this.#areNodesDirty = true
        this.#loop.trigger()
      })
    }
    return operations
  }
}

/** A removed node's tasks are given up; one that is down starts the day's wait. */
const hasLeft = (change: ObjectChange & { kind: 'node' }): boolean =>
  change.action === 'remove' || change.object.Status.State === 'down'
