import { type Clock, timestamp } from '../../api/clock.ts'
import type { NewId } from '../../api/id.ts'
import type { Log } from '../../api/log.ts'
import type { ObjectChange } from '../../api/object.ts'
import { isTerminal } from '../../api/task-state.ts'
import { ReconcileLoop, type ReconcilerDeps } from '../orchestrator/reconcile-loop.ts'
import type { Store } from '../store/store.ts'
import type { Tx } from '../store/tx.ts'
import { allocateTask, isNew } from './allocate-task.ts'
import { createFirstNetworks } from './predefined-networks.ts'
import { allocateEndpoint, isSameEndpoint } from './service-endpoint.ts'
import { isOverlay } from './service-networks.ts'
import {
  allocateNetwork,
  type Blocked,
  blocked,
  subnetOf,
  withLastNetwork,
  withoutGoneGateways,
} from './subnets.ts'

/** Whether an object has what it needs, and why not. */
type Outcome = { readonly kind: 'allocated' } | Blocked

/**
 * Gives networks their subnets, services their virtual addresses and ports, and lets tasks pass from `new` to `pending` once what they
 * need is there. Runs on the leader only; what can't be given waits with its reason and is tried again when something changes.
 */
export class Allocator {
  readonly #store: Store
  readonly #clock: Clock
  readonly #newId: NewId
  readonly #log: Log
  readonly #loop: ReconcileLoop
  /** Ids of services that changed, or that wait. */
  readonly #services = new Set<string>()
  /** Ids of tasks in state `new`. */
  readonly #tasks = new Set<string>()
  /** Reasons logged last, by object: each is logged once. */
  readonly #blocked = new Map<string, string>()
  #unwatch: (() => void) | undefined

  constructor(deps: ReconcilerDeps & { newId: NewId }) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#newId = deps.newId
    this.#log = deps.log.child({ part: 'allocator' })
    this.#loop = new ReconcileLoop({
      run: () => this.#reconcile(),
      clock: deps.clock,
      log: this.#log,
    })
  }

  start(): void {
    const view = this.#store.view()
    for (const service of view.list('service')) this.#services.add(service.ID)
    for (const task of view.list('task')) if (isNew(task)) this.#tasks.add(task.ID)
    this.#unwatch = this.#store.watch((changes) => this.#onChanges(changes))
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    await this.#loop.stop()
    this.#services.clear()
    this.#tasks.clear()
    this.#blocked.clear()
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    let isRelevant = false
    for (const change of changes) {
      if (change.kind === 'service') {
        if (change.object === undefined) this.#blocked.delete(`service ${change.old.Spec.Name}`)
        else this.#services.add(change.object.ID)
      }
      if (change.kind === 'network' && change.object === undefined) {
        this.#blocked.delete(`network ${change.old.Spec.Name}`)
      }
      if (change.kind === 'task') {
        if (change.object !== undefined && isNew(change.object)) this.#tasks.add(change.object.ID)
        else this.#tasks.delete((change.object ?? change.old).ID)
      }
      isRelevant ||= this.#canAllocateMore(change)
    }
    if (isRelevant) this.#loop.trigger()
  }

  /** Task statuses and heartbeats are most of all changes: they must not start a run each. */
  #canAllocateMore(change: ObjectChange): boolean {
    switch (change.kind) {
      case 'network':
      case 'service':
      case 'cluster':
        return true
      case 'node':
        return change.action !== 'update' || this.#blocked.size > 0
      case 'task':
        if (change.object !== undefined && !isTerminal(change.object.Status.State)) {
          return isNew(change.object)
        }
        return this.#blocked.size > 0
      case 'secret':
      case 'config':
        return false
      default:
        return change satisfies never
    }
  }

  async #reconcile(): Promise<void> {
    await this.#store.update((tx) => createFirstNetworks(tx, this.#newId))
    await this.#allocateNetworks()
    await this.#allocateServices()
    await this.#allocateTasks()
  }

  async #allocateNetworks(): Promise<void> {
    const ids = this.#store
      .view()
      .list('network')
      .map(({ ID }) => ID)
    const outcomes = new Map<string, Outcome>()
    await this.#store.batch(
      ids.map((id) => (tx: Tx) => {
        const outcome = this.#allocateNetwork(tx, id)
        if (outcome !== undefined) outcomes.set(id, outcome)
      }),
      (at, { message }) => outcomes.set(ids[at] as string, blocked(message)),
    )
    for (const [id, outcome] of outcomes) this.#note('network', id, outcome)
  }

  #allocateNetwork(tx: Tx, id: string): Outcome | undefined {
    const current = tx.get('network', id)
    const cleaned = current && withoutGoneGateways(tx, current)
    if (cleaned !== undefined) tx.put('network', cleaned)
    const network = tx.get('network', id)
    if (network === undefined || !isOverlay(network) || subnetOf(network) !== undefined) return
    const result = allocateNetwork(tx, network)
    if (result.kind === 'blocked') return result
    tx.put('network', result.network)
    const cluster = tx.cluster()
    if (cluster !== undefined) tx.put('cluster', withLastNetwork(cluster, result.network))
    return result
  }

  async #allocateServices(): Promise<void> {
    const ids = [...this.#services]
    this.#services.clear()
    const outcomes = new Map<string, Outcome>()
    try {
      await this.#store.batch(
        ids.map((id) => (tx: Tx) => {
          const outcome = this.#allocateService(tx, id)
          if (outcome !== undefined) outcomes.set(id, outcome)
        }),
        // The state does not take what this one would get; the others have theirs.
        (at, { message }) => outcomes.set(ids[at] as string, blocked(message)),
      )
    } catch (error) {
      for (const id of ids) this.#services.add(id)
      throw error
    }
    for (const [id, outcome] of outcomes) {
      if (outcome.kind === 'blocked') this.#services.add(id)
      this.#note('service', id, outcome)
    }
  }

  #allocateService(tx: Tx, id: string): Outcome | undefined {
    const service = tx.get('service', id)
    if (service === undefined) return undefined
    const result = allocateEndpoint(tx, service)
    if (result.kind === 'allocated' && !isSameEndpoint(result.endpoint, service.Endpoint)) {
      tx.put('service', { ...service, Endpoint: result.endpoint })
    }
    return result
  }

  async #allocateTasks(): Promise<void> {
    const now = timestamp(this.#clock)
    await this.#store.batch(
      [...this.#tasks].map((id) => (tx: Tx) => {
        const task = tx.get('task', id)
        if (task === undefined || !isNew(task)) return
        const result = allocateTask(tx, task, now)
        if (result.kind === 'allocated') {
          tx.put('task', result.task)
          return
        }
        if (result.kind === 'early' || task.Status.Err === result.reason) return
        const Message = 'waiting for network resources'
        tx.put('task', {
          ...task,
          Status: { Timestamp: now, State: 'new', Message, Err: result.reason },
        })
      }),
    )
  }

  /** For the log, and a reason to look again. */
  #note(kind: 'network' | 'service', id: string, outcome: Outcome): void {
    const object = this.#store.view().get(kind, id)
    if (object === undefined) return
    const what = `${kind} ${object.Spec.Name}`
    if (outcome.kind === 'allocated') {
      this.#blocked.delete(what)
      return
    }
    if (this.#blocked.get(what) === outcome.reason) return
    this.#blocked.set(what, outcome.reason)
    this.#log.warn({ what }, `can't allocate: ${outcome.reason}`)
  }
}
