import assert from 'node:assert/strict'
import { precondition, SwarmctlError } from '../../api/errors.ts'
import type { Kind, ObjectByKind } from '../../api/object.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import { type Claim, holdingOf, type NamedKind, nameClaim, objectKey } from './claims.ts'
import { type Expectation, encodeObject, type KindedObject, type Transaction } from './codec.ts'
import type { View } from './view.ts'

/** A view that sees its own writes and collects them with what they expect. */
export class Tx implements View {
  readonly #base: View
  /** `kind/id` → the object as this transaction leaves it; undefined: removed. */
  readonly #changed = new Map<string, KindedObject | undefined>()
  readonly #expected = new Map<string, Expectation>()
  /** `scope key` → owner; undefined: released here. */
  readonly #claims = new Map<string, string | undefined>()

  /** Known only once they were asked for. */
  #sizes: Map<string, { entry: KindedObject; bytes: number }> | undefined

  constructor(base: View) {
    this.#base = base
  }

  get index(): number {
    return this.#base.index
  }

  /** Encoded bytes of the objects put so far. */
  measureBytes(): number {
    this.#sizes ??= new Map()
    let bytes = 0
    for (const [key, entry] of this.#changed) {
      if (entry === undefined) continue
      const known = this.#sizes.get(key)
      const size = known?.entry === entry ? known.bytes : encodeObject(entry.object).length
      this.#sizes.set(key, { entry, bytes: size })
      bytes += size
    }
    return bytes
  }

  /** Objects put and removed so far. */
  get changeCount(): number {
    return this.#changed.size
  }

  get<K extends Kind>(kind: K, id: string): ObjectByKind[K] | undefined {
    const key = objectKey(kind, id)
    return this.#changed.has(key)
      ? (this.#changed.get(key)?.object as ObjectByKind[K] | undefined)
      : this.#base.get(kind, id)
  }

  list<K extends Kind>(kind: K): ObjectByKind[K][] {
    return this.#overlay(kind, this.#base.list(kind), () => true)
  }

  byName<K extends NamedKind>(kind: K, name: string): ObjectByKind[K] | undefined {
    const { scope, key } = nameClaim(kind, name)
    const owner = this.claimOwner(scope, key)
    return owner === undefined ? undefined : this.get(kind, owner.slice(kind.length + 1))
  }

  tasksByService(serviceId: string): Task[] {
    return this.#overlay(
      'task',
      this.#base.tasksByService(serviceId),
      (t) => t.ServiceID === serviceId,
    )
  }

  tasksByNode(nodeId: string): Task[] {
    return this.#overlay('task', this.#base.tasksByNode(nodeId), (t) => t.NodeID === nodeId)
  }

  tasksBySlot(serviceId: string, slot: number): Task[] {
    return this.#overlay(
      'task',
      this.#base.tasksBySlot(serviceId, slot),
      (t) => t.ServiceID === serviceId && t.Slot === slot,
    )
  }

  cluster(): Cluster | undefined {
    return this.list('cluster')[0]
  }

  claimOwner(scope: string, key: string | number): string | undefined {
    const name = `${scope} ${key}`
    return this.#claims.has(name) ? this.#claims.get(name) : this.#base.claimOwner(scope, key)
  }

  releasedOrder(scope: string, key: string | number): number | undefined {
    return this.#base.releasedOrder(scope, key)
  }

  /**
   * Creates or replaces an object. `Version`, `CreatedAt` and `UpdatedAt` are apply's.
   * @throws SwarmctlError ALREADY_EXISTS when another object has its name; FAILED_PRECONDITION when another holds its address, port or number
   */
  put<K extends Kind>(kind: K, object: ObjectByKind[K]): void {
    const entry = { kind, object } as KindedObject
    const { owner, claims } = holdingOf(entry)
    for (const claim of claims) {
      const other = this.claimOwner(claim.scope, claim.key)
      if (other !== undefined && other !== owner) throw claimed(claim, other, entry)
    }
    this.#release(kind, object.ID)
    for (const { scope, key } of claims) this.#claims.set(`${scope} ${key}`, owner)
    this.touch(kind, object.ID)
    this.#changed.set(owner, entry)
  }

  /** Removes an object that exists. */
  remove(kind: Kind, id: string): void {
    assert(this.get(kind, id) !== undefined, `${kind} ${id} does not exist`)
    this.#release(kind, id)
    this.touch(kind, id)
    // Created in this very transaction: nothing is left to do, but its absence stays expected.
    this.#changed.set(objectKey(kind, id), undefined)
  }

  /** Makes the transaction fail when this object is changed (or created) by another one first. */
  touch(kind: Kind, id: string): void {
    const key = objectKey(kind, id)
    if (this.#expected.has(key)) return
    const version = this.#base.get(kind, id)?.Version.Index ?? 0
    this.#expected.set(key, { kind, id, version })
  }

  /**
   * Makes the transaction fail when any object of this kind is created or changed first: for a change that holds only because no
   * object refers to something. Looks at all of them at apply: for rare changes.
   */
  touchAll(kind: Kind): void {
    this.#expected.set(objectKey(kind, ''), { kind, id: '', version: this.#base.index })
  }

  /** The collected changes as a command's content. */
  transaction(timeMs: number): Transaction {
    const put: KindedObject[] = []
    const remove: { kind: Kind; id: string }[] = []
    for (const [key, entry] of this.#changed) {
      const expected = this.#expected.get(key)
      assert(expected !== undefined)
      if (entry !== undefined) put.push(entry)
      else if (expected.version !== 0) remove.push({ kind: expected.kind, id: expected.id })
    }
    return { timeMs, expect: [...this.#expected.values()], put, remove }
  }

  #release(kind: Kind, id: string): void {
    const old = this.get(kind, id)
    if (old === undefined) return
    const { owner, claims } = holdingOf({ kind, object: old } as KindedObject)
    for (const { scope, key } of claims) {
      if (this.claimOwner(scope, key) !== owner) continue
      this.#claims.set(`${scope} ${key}`, undefined)
    }
  }

  #overlay<K extends Kind>(
    kind: K,
    base: ObjectByKind[K][],
    matches: (object: ObjectByKind[K]) => boolean,
  ): ObjectByKind[K][] {
    if (this.#changed.size === 0) return base
    const kept = base.filter((object) => !this.#changed.has(objectKey(kind, object.ID)))
    for (const entry of this.#changed.values()) {
      if (entry?.kind !== kind) continue
      const object = entry.object as ObjectByKind[K]
      if (matches(object)) kept.push(object)
    }
    return kept
  }
}

/** What a put throws when another object holds what it claims, with Docker's texts for names. */
const claimed = ({ scope, key }: Claim, owner: string, entry: KindedObject): SwarmctlError => {
  if (!scope.startsWith('name/')) {
    return precondition(`${scope} ${key} is already held by ${owner}`)
  }
  const name = 'Name' in entry.object.Spec ? entry.object.Spec.Name : key
  const text = {
    service: `name conflicts with an existing object: service ${name} already exists`,
    network: `network with name ${name} already exists`,
    secret: `secret ${name} already exists`,
    config: `config ${name} already exists`,
  }[entry.kind as NamedKind]
  return new SwarmctlError('ALREADY_EXISTS', text)
}
