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
import { allocateNetwork, subnetOf, withLastNetwork, withoutGoneGateways } from './subnets.ts'

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
    const isWaiting = (tx: Pick<Tx, 'get'>, id: string) => {
      const network = tx.get('network', id)
      return network && isOverlay(network) && subnetOf(network) === undefined ? network : undefined
    }
    const view = this.#store.view()
    await this.#store.batch(
      view.list('network').map((listed) => (tx: Tx) => {
        const current = tx.get('network', listed.ID)
        const cleaned = current && withoutGoneGateways(tx, current)
        if (cleaned !== undefined) tx.put('network', cleaned)
        const network = isWaiting(tx, listed.ID)
        if (network === undefined) return
        const result = allocateNetwork(tx, network)
        if (result.kind === 'allocated') {
          tx.put('network', result.network)
          const cluster = tx.cluster()
          if (cluster !== undefined) tx.put('cluster', withLastNetwork(cluster, result.network))
        }
        this.#note(`network ${network.Spec.Name}`, result)
      }),
    )
  }

  async #allocateServices(): Promise<void> {
    const ids = [...this.#services]
    this.#services.clear()
    try {
      await this.#store.batch(
        ids.map((id) => (tx: Tx) => {
          const service = tx.get('service', id)
          if (service === undefined) return
          const result = allocateEndpoint(tx, service)
          this.#note(`service ${service.Spec.Name}`, result)
          if (result.kind === 'blocked') {
            this.#services.add(id)
            return
          }
          const { endpoint } = result
          if (isSameEndpoint(endpoint, service.Endpoint)) return
          tx.put('service', { ...service, Endpoint: endpoint })
        }),
      )
    } catch (error) {
      for (const id of ids) this.#services.add(id)
      throw error
    }
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

  /** May be said of a transaction that is run anew: it is a note for the log and a reason to look again, no more. */
  #note(what: string, result: { kind: 'allocated' } | { kind: 'blocked'; reason: string }): void {
    if (result.kind === 'allocated') {
      this.#blocked.delete(what)
      return
    }
    if (this.#blocked.get(what) === result.reason) return
    this.#blocked.set(what, result.reason)
    this.#log.warn({ what }, `can't allocate: ${result.reason}`)
  }
}
