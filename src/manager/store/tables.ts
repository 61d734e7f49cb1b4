import { KINDS, type Kind, type ObjectByKind } from '../../api/object.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import {
  addressScope,
  type Holding,
  holdingOf,
  type NamedKind,
  nameClaim,
  portScope,
} from './claims.ts'
import type { KindedObject } from './codec.ts'
import { RELEASED_MAX } from './limits.ts'
import type { View } from './view.ts'

type TableByKind = { [K in Kind]: Map<string, ObjectByKind[K]> }

/** Addresses and published ports are known to others after they were released. */
const REMEMBERED_SCOPES = [addressScope(''), portScope('')]

const isRemembered = (scope: string): boolean =>
  REMEMBERED_SCOPES.some((one) => scope.startsWith(one))

/** Objects by a secondary key, in order of insertion. */
class TaskIndex {
  readonly #byKey = new Map<string, Map<string, Task>>()

  /** Replaces `old` by `task`; keeps its place when the key stays. Tasks with an empty key are not listed. */
  move(old: Task | undefined, task: Task | undefined, keyOf: (task: Task) => string): void {
    const oldKey = old === undefined ? '' : keyOf(old)
    const key = task === undefined ? '' : keyOf(task)
    if (old !== undefined && oldKey !== key) {
      const tasks = this.#byKey.get(oldKey)
      tasks?.delete(old.ID)
      if (tasks?.size === 0) this.#byKey.delete(oldKey)
    }
    if (task === undefined || key === '') return
    const tasks = this.#byKey.get(key)
    if (tasks === undefined) this.#byKey.set(key, new Map([[task.ID, task]]))
    else tasks.set(task.ID, task)
  }

  list(key: string): Task[] {
    return [...(this.#byKey.get(key)?.values() ?? [])]
  }
}

const slotKey = (serviceId: string, slot: number | undefined): string =>
  `${serviceId}/${slot ?? ''}`

/** The objects with their indexes and claims. Only `StoreState` changes it. */
export class Tables implements View {
  index = 0
  readonly #tables: TableByKind = {
    cluster: new Map(),
    node: new Map(),
    service: new Map(),
    task: new Map(),
    network: new Map(),
    secret: new Map(),
    config: new Map(),
  }
  readonly #tasksByService = new TaskIndex()
  readonly #tasksByNode = new TaskIndex()
  readonly #tasksBySlot = new TaskIndex()
  /** Scope → key → owner. */
  readonly #claims = new Map<string, Map<string | number, string>>()
  /** `scope key` → order, oldest first; bounded by RELEASED_MAX. */
  readonly #released = new Map<string, number>()
  #releases = 0

  get<K extends Kind>(kind: K, id: string): ObjectByKind[K] | undefined {
    return this.#tables[kind].get(id)
  }

  list<K extends Kind>(kind: K): ObjectByKind[K][] {
    return [...this.#tables[kind].values()]
  }

  byName<K extends NamedKind>(kind: K, name: string): ObjectByKind[K] | undefined {
    const { scope, key } = nameClaim(kind, name)
    const owner = this.claimOwner(scope, key)
    return owner === undefined ? undefined : this.get(kind, owner.slice(kind.length + 1))
  }

  tasksByService(serviceId: string): Task[] {
    return this.#tasksByService.list(serviceId)
  }

  tasksByNode(nodeId: string): Task[] {
    return this.#tasksByNode.list(nodeId)
  }

  tasksBySlot(serviceId: string, slot: number): Task[] {
    return this.#tasksBySlot.list(slotKey(serviceId, slot))
  }

  cluster(): Cluster | undefined {
    return this.#tables.cluster.values().next().value
  }

  claimOwner(scope: string, key: string | number): string | undefined {
    return this.#claims.get(scope)?.get(key)
  }

  releasedOrder(scope: string, key: string | number): number | undefined {
    return this.#released.get(`${scope} ${key}`)
  }

  /** Every object, kind by kind. */
  *entries(): Iterable<KindedObject> {
    for (const kind of KINDS) {
      for (const object of this.#tables[kind].values()) yield { kind, object } as KindedObject
    }
  }

  put(entry: KindedObject, holding: Holding = holdingOf(entry)): void {
    const { kind, object } = entry
    const old = this.#tables[kind].get(object.ID)
    if (old !== undefined) this.#release({ kind, object: old } as KindedObject)
    ;(this.#tables[kind] as Map<string, typeof object>).set(object.ID, object)
    this.#claim(holding)
    if (entry.kind === 'task') this.#indexTask(old as Task | undefined, entry.object)
  }

  /** What was removed, if it was there. */
  remove(kind: Kind, id: string): KindedObject['object'] | undefined {
    const old = this.#tables[kind].get(id)
    if (old === undefined) return undefined
    this.#release({ kind, object: old } as KindedObject)
    this.#tables[kind].delete(id)
    if (kind === 'task') this.#indexTask(old as Task, undefined)
    return old
  }

  #indexTask(old: Task | undefined, task: Task | undefined): void {
    this.#tasksByService.move(old, task, (t) => t.ServiceID)
    this.#tasksBySlot.move(old, task, (t) => slotKey(t.ServiceID, t.Slot))
    this.#tasksByNode.move(old, task, (t) => t.NodeID)
  }

  #claim({ owner, claims }: Holding): void {
    for (const { scope, key } of claims) {
      const keys = this.#claims.get(scope)
      if (keys === undefined) this.#claims.set(scope, new Map([[key, owner]]))
      else keys.set(key, owner)
      if (isRemembered(scope)) this.#released.delete(`${scope} ${key}`)
    }
  }

  #release(entry: KindedObject): void {
    const { owner, claims } = holdingOf(entry)
    for (const { scope, key } of claims) {
      const keys = this.#claims.get(scope)
      // Within one transaction another object may have taken it over already.
      if (keys?.get(key) !== owner) continue
      keys.delete(key)
      if (keys.size === 0) this.#claims.delete(scope)
      if (isRemembered(scope)) this.#rememberRelease(`${scope} ${key}`)
    }
  }

  #rememberRelease(name: string): void {
    this.#released.delete(name)
    this.#released.set(name, ++this.#releases)
    if (this.#released.size <= RELEASED_MAX) return
    const oldest = this.#released.keys().next().value
    if (oldest !== undefined) this.#released.delete(oldest)
  }
}
