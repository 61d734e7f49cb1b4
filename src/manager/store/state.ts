import assert from 'node:assert/strict'
import type { Kind, ObjectChange } from '../../api/object.ts'
import { type Holding, holdingOf, objectKey } from './claims.ts'
import {
  decodeStored,
  decodeTransaction,
  deepFreeze,
  encodeStored,
  type KindedObject,
  type PutObject,
  type Transaction,
} from './codec.ts'
import { type Stamp, stamped } from './stamp.ts'
import { Tables } from './tables.ts'
import type { View } from './view.ts'

/** What apply answers: the same on every manager. Plain data. */
export type TransactionResult =
  | { kind: 'committed' }
  /** An expected object had another version. */
  | { kind: 'conflict'; object: { kind: Kind; id: string } }
  /** Another object (`owner` is `kind/id`) holds what the transaction claims. */
  | { kind: 'claimed'; scope: string; key: string | number; owner: string }

/** One change of the state database; null removes the key. */
export interface StateWrite {
  key: string
  value: Uint8Array | null
}

/** A state that is built beside the one in use. */
export interface StoreRestore {
  add(entries: Iterable<readonly [key: string, value: Uint8Array]>): void
  commit(pause: () => Promise<void>): Promise<void>
}

/** Watchers are shown this much of a restored state before others go on: a few milliseconds. */
const DIFFERENCES_AT_ONCE = 2_000

export type Watcher = (changes: ObjectChange[], index: number) => void

/** The replicated state machine: commands in, objects and answers out. Deterministic: no clock, no random, no IO. */
export class StoreState {
  #tables = new Tables()
  /** Another list at each change of it: one that is gone through stays as it is. */
  #watchers: readonly Watcher[] = []
  /** A watcher that applied would show the others changes out of order. */
  #notifying = false
  #isRestoring = false

  /** The applied state as of now (see `View`). After `restore` it is another view. */
  view(): View {
    return this.#tables
  }

  /** Throws UnreadableError when a command is none. */
  check(command: Uint8Array): void {
    decodeTransaction(command)
  }

  /** Applies one committed command: all of it or nothing. */
  apply(index: number, command: Uint8Array): { result: TransactionResult; writes: StateWrite[] } {
    assert(!this.#notifying, 'a watcher must not apply')
    assert(!this.#isRestoring, 'watchers have not seen all of the restored state')
    assert(index > this.#tables.index, `command ${index} follows ${this.#tables.index}`)
    const tx = decodeTransaction(command)
    this.#tables.index = index
    const holdings = tx.put.map(holdingOf)
    const refusal = this.#refusal(tx, holdings)
    if (refusal !== undefined) return { result: refusal, writes: [] }
    const changes: ObjectChange[] = []
    const writes: StateWrite[] = []
    for (const { kind, id } of tx.remove) {
      const old = this.#tables.remove(kind, id)
      if (old === undefined) continue
      changes.push({ kind, action: 'remove', old } as ObjectChange)
      writes.push({ key: objectKey(kind, id), value: null })
    }
    tx.put.forEach((put, at) => {
      const holding = holdings[at] as Holding
      const { change, stamp } = this.#put(put, holding, { index, timeMs: tx.timeMs })
      changes.push(change)
      writes.push({ key: holding.owner, value: encodeStored(stamp, put.bytes) })
    })
    this.#notify(changes, index)
    return { result: { kind: 'committed' }, writes }
  }

  /** Begins the state of a database or snapshot at `index`. Its commit replaces everything; watchers see the difference. */
  beginRestore(index: number): StoreRestore {
    const tables = new Tables()
    tables.index = index
    return {
      add(entries) {
        for (const [key, value] of entries) {
          const { kind, object } = decodeStored(key, value)
          tables.put({ kind, object: deepFreeze(object) } as KindedObject)
        }
      },
      commit: async (pause) => {
        const old = this.#tables
        assert(index >= old.index, 'the state goes back')
        this.#tables = tables
        if (this.#watchers.length === 0) return
        this.#isRestoring = true
        for (const changes of inPieces(differences(old, tables))) {
          this.#notify(changes, index)
          await pause()
        }
        this.#isRestoring = false
      },
    }
  }

  /** Calls `run` after every apply that changed something; the returned function ends it. */
  watch(run: Watcher): () => void {
    const watcher: Watcher = (changes, index) => run(changes, index)
    this.#watchers = [...this.#watchers, watcher]
    return () => {
      this.#watchers = this.#watchers.filter((one) => one !== watcher)
    }
  }

  #refusal(tx: Transaction, holdings: readonly Holding[]): TransactionResult | undefined {
    for (const { kind, id, version } of tx.expect) {
      const holds =
        id === ''
          ? this.#tables.list(kind).every((object) => object.Version.Index <= version)
          : (this.#tables.get(kind, id)?.Version.Index ?? 0) === version
      if (!holds) return { kind: 'conflict', object: { kind, id } }
    }
    return this.#claimRefusal(tx, holdings)
  }

  /** What a transaction itself changes is not in its way: only two of its own objects with one name are. */
  #claimRefusal(tx: Transaction, holdings: readonly Holding[]): TransactionResult | undefined {
    // Asked for by few transactions, and each is applied by every manager.
    let changed: ReadonlySet<string> | undefined
    const isChanged = (key: string): boolean => {
      changed ??= changedBy(tx)
      return changed.has(key)
    }
    const claimed = new Map<string, string>()
    for (const { owner, claims } of holdings) {
      for (const { scope, key } of claims) {
        const name = `${scope} ${key}`
        const stored = this.#tables.claimOwner(scope, key)
        const isFree = stored === undefined || stored === owner || isChanged(stored)
        const other = claimed.get(name) ?? (isFree ? owner : stored)
        if (other !== owner) return { kind: 'claimed', scope, key, owner: other }
        claimed.set(name, owner)
      }
    }
    return undefined
  }

  #put(
    { kind, object: sent }: PutObject,
    holding: Holding,
    { index, timeMs }: { index: number; timeMs: number },
  ): { change: ObjectChange; stamp: Stamp } {
    const old = this.#tables.get(kind, sent.ID)
    const createdMs = old === undefined ? timeMs : Date.parse(old.CreatedAt)
    const stamp = { index, createdMs, updatedMs: timeMs }
    const object = deepFreeze(stamped(sent, stamp))
    this.#tables.put({ kind, object } as KindedObject, holding)
    const change =
      old === undefined
        ? { kind, action: 'create', object }
        : { kind, action: 'update', object, old }
    return { change: change as ObjectChange, stamp }
  }

  #notify(changes: ObjectChange[], index: number): void {
    if (changes.length === 0) return
    this.#notifying = true
    for (const watcher of this.#watchers) {
      try {
        watcher(changes, index)
      } catch (error) {
        // A broken watcher is a programmer error; it must end the process without tearing this apply.
        queueMicrotask(() => {
          throw error
        })
      }
    }
    this.#notifying = false
  }
}

const changedBy = (tx: Transaction): Set<string> =>
  new Set([
    ...tx.put.map((entry) => objectKey(entry.kind, entry.object.ID)),
    ...tx.remove.map(({ kind, id }) => objectKey(kind, id)),
  ])

/** What changed, and null for each object that did not: to look is work as well. */
function* differences(old: Tables, tables: Tables): Iterable<ObjectChange | null> {
  for (const { kind, object } of old.entries()) {
    const isGone = tables.get(kind, object.ID) === undefined
    yield isGone ? ({ kind, action: 'remove', old: object } as ObjectChange) : null
  }
  for (const { kind, object } of tables.entries()) {
    const before = old.get(kind, object.ID)
    if (before === undefined) yield { kind, action: 'create', object } as ObjectChange
    else if (before.Version.Index === object.Version.Index) yield null
    else yield { kind, action: 'update', object, old: before } as ObjectChange
  }
}

function* inPieces(changes: Iterable<ObjectChange | null>): Iterable<ObjectChange[]> {
  let [seen, piece]: [number, ObjectChange[]] = [0, []]
  for (const change of changes) {
    if (change !== null) piece.push(change)
    seen += 1
    if (seen % DIFFERENCES_AT_ONCE > 0) continue
    yield piece
    piece = []
  }
  yield piece
}
