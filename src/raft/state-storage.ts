// The applied state in LevelDB, sealed, written behind. Two generations of keys let a snapshot come in
// beside the state in use: which one counts is part of the meta value, so one write switches.

import { dirname } from 'node:path'
import { Level } from 'level'
import { assert } from './assert.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Clock } from './clock.ts'
import {
  StorageCorruptError,
  StorageFailedError,
  StorageKeyError,
  StorageVersionError,
} from './errors.ts'
import type { SnapshotMeta } from './message.ts'
import { decodeSnapshotMeta, encodeSnapshotMeta } from './snapshot-message.ts'
import { StateDigest } from './state-digest.ts'
import type { StateEntry, StateInstall, StateStorage, StateView, StateWrite } from './state-port.ts'
import { StateSeal } from './state-seal.ts'
import { syncDirectory } from './wal-files.ts'

/** Changes wait this long for others to the same keys: a status that changes often costs one write. */
export const FLUSH_DELAY_MS = 75
/** How long to wait before a flush that the disk refused is tried again. */
const RETRY_MS = 1_000
/** Entries that one read from LevelDB fetches. */
const READ_COUNT = 256
const META_KEY = 'meta'
const VERSION_KEY = 'version'
/** The version of everything in this database. */
const VERSION = 1
/** Every write syncs: LevelDB can lose an unsynced log file and keep a later synced one. */
const SYNC = { sync: true } as const

type Generation = 'a' | 'b'
type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

export interface LevelStateStorageDeps {
  readonly clock: Clock
  /** 32 bytes: the node's data key. */
  readonly dataKey: Uint8Array
  /** A flush failed and will be tried again; the log isn't compacted meanwhile. Told once until one succeeds. */
  readonly onFlushFailed: (error: StorageFailedError) => void
}

/** The {@link StateStorage} on disk. */
export class LevelStateStorage implements StateStorage {
  readonly #db: Level<string, Uint8Array>
  readonly #directory: string
  readonly #deps: LevelStateStorageDeps
  readonly #seal: StateSeal
  #generation: Generation = 'a'
  #digest = new StateDigest()
  #stored: SnapshotMeta | null = null
  #storedDigest = { count: 0, sum: new Uint8Array(0) }
  /** What is taken and not stored yet, the newest value of each key. */
  #dirty = new Map<string, Uint8Array | null>()
  #dirtyMeta: SnapshotMeta | null = null
  #cancelFlush: (() => void) | undefined
  /** One operation on the database at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #isFailing = false
  /** How many installs have begun: the last one alone may still be committed. */
  #installs = 0
  #closed = false

  constructor(directory: string, deps: LevelStateStorageDeps) {
    // Sealed values don't compress.
    const options = { valueEncoding: 'view', compression: false } as const
    this.#db = new Level<string, Uint8Array>(directory, options)
    this.#directory = directory
    this.#deps = deps
    this.#seal = new StateSeal(deps.dataKey)
  }

  get flushedIndex(): number {
    return this.#stored?.index ?? 0
  }

  async open(): Promise<SnapshotMeta | null> {
    await this.#db.open().catch((cause) => {
      throw openError(cause)
    })
    const version = await this.#db.get(VERSION_KEY)
    if (version === undefined) {
      await this.#db.put(VERSION_KEY, new Uint8Array([VERSION]), SYNC)
      // LevelDB syncs what is in its directory; the directory's own name is in the parent.
      await syncDirectory(dirname(this.#directory))
    } else if (version[0] !== VERSION) {
      throw new StorageVersionError('the state', version[0], VERSION)
    }
    const sealed = await this.#db.get(META_KEY)
    if (sealed !== undefined) this.#readMeta(sealed)
    await this.#clear(other(this.#generation))
    return this.#stored
  }

  async load(): Promise<StateEntry[]> {
    const digest = new StateDigest()
    const entries = await this.#readAll(this.#generation, digest)
    const { count, sum } = this.#storedDigest
    if (this.#stored !== null && !digest.equals(count, sum)) {
      throw new StorageCorruptError(
        `the state has ${digest.count} objects and should have ${count}`,
      )
    }
    this.#digest = digest
    return entries
  }

  write(meta: SnapshotMeta, writes: readonly StateWrite[]): void {
    assert(meta.index >= (this.#dirtyMeta?.index ?? 0), 'the state goes back')
    for (const { key, value } of writes) this.#dirty.set(key, value ?? null)
    this.#dirtyMeta = meta
    this.#flushIn(FLUSH_DELAY_MS)
  }

  flush(): Promise<void> {
    return this.#exclusive(() => this.#flushNow())
  }

  openView(): Promise<StateView> {
    return this.#exclusive(async () => {
      await this.#flushNow()
      const meta = this.#stored
      assert(meta !== null, 'there is no state to view yet')
      const generation = this.#generation
      const iterator = this.#db.iterator(rangeOf(generation))
      return {
        meta,
        next: async (bytesMax) => {
          const entries: StateEntry[] = []
          for (let bytes = 0; bytes < bytesMax; ) {
            const item = await iterator.next()
            if (item === undefined) break
            entries.push([item[0].slice(1), this.#unseal(item[0], item[1])])
            bytes += item[0].length + item[1].length
          }
          return entries.length === 0 ? null : entries
        },
        close: () => iterator.close(),
      }
    })
  }

  async beginInstall(meta: SnapshotMeta): Promise<StateInstall> {
    const digest = new StateDigest()
    // Which one is free is known when it is this one's turn: an install before it may be about to switch.
    const { generation, number } = await this.#exclusive(async () => {
      this.#installs += 1
      const free = other(this.#generation)
      await this.#writing(() => this.#clear(free))
      return { generation: free, number: this.#installs }
    })
    return {
      add: (entries) =>
        this.#exclusive(async () => {
          const operations = entries.map(([key, value]) => this.#put(generation + key, value))
          await this.#writing(() => this.#db.batch(operations, SYNC))
          for (const { key, value } of operations) digest.set(key, value)
        }),
      load: () => this.#readAll(generation, new StateDigest()),
      commit: () =>
        this.#exclusive(() => {
          assert(number === this.#installs, 'what was staged is replaced by a later snapshot')
          return this.#switchTo(generation, meta, digest)
        }),
      abort: () => this.#exclusive(() => this.#writing(() => this.#clear(generation))),
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelFlush?.()
    if (this.#db.status === 'open') await this.#exclusive(() => this.#flushNow()).catch(() => {})
    await this.#db.close()
  }

  async #flushNow(): Promise<void> {
    const meta = this.#dirtyMeta
    if (meta === null) return
    const writes = this.#dirty
    this.#dirty = new Map()
    this.#dirtyMeta = null
    const operations: Operation[] = []
    for (const [key, value] of writes) {
      const stored = this.#generation + key
      operations.push(value === null ? { type: 'del', key: stored } : this.#put(stored, value))
    }
    for (const operation of operations) {
      this.#digest.set(operation.key, operation.type === 'put' ? operation.value : null)
    }
    operations.push(this.#putMeta(this.#generation, meta, this.#digest))
    try {
      await this.#db.batch(operations, SYNC)
      this.#stored = meta
      this.#isFailing = false
    } catch (cause) {
      await this.#onFlushFailed(cause, meta, writes)
    }
  }

  /** Keeps what was not stored, under what came meanwhile, and tries again later. */
  async #onFlushFailed(
    cause: unknown,
    meta: SnapshotMeta,
    writes: Map<string, Uint8Array | null>,
  ): Promise<never> {
    this.#dirty = new Map([...writes, ...this.#dirty])
    this.#dirtyMeta ??= meta
    const why = cause instanceof Error ? cause.message : String(cause)
    const what = `the state could not be stored (${why}) and will be as soon as the disk takes it`
    const error = new StorageFailedError(what, { cause })
    if (!this.#isFailing) this.#deps.onFlushFailed(error)
    this.#isFailing = true
    await this.#reopen()
    this.#flushIn(RETRY_MS)
    throw error
  }

  /** After a failed write LevelDB refuses all others until it is opened again. */
  async #reopen(): Promise<void> {
    if (this.#closed) return
    await this.#db.close().catch(() => {})
    await this.#db.open().catch(() => {})
  }

  /** Throws StorageFailedError when the disk refuses it; then it can be done again. */
  async #writing(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (cause) {
      await this.#reopen()
      throw new StorageFailedError(`the disk refused the state (${String(cause)})`, { cause })
    }
  }

  async #switchTo(generation: Generation, meta: SnapshotMeta, digest: StateDigest): Promise<void> {
    const operation = this.#putMeta(generation, meta, digest)
    await this.#writing(() => this.#db.batch([operation], SYNC))
    // What was taken for the old state is part of the new one.
    if ((this.#dirtyMeta?.index ?? 0) <= meta.index) {
      this.#dirty = new Map()
      this.#dirtyMeta = null
    }
    this.#generation = generation
    this.#digest = digest
    this.#stored = meta
    // What is left of the old one takes only room: the next install and the next start clear it as well.
    await this.#writing(() => this.#clear(other(generation))).catch(() => {})
  }

  #flushIn(delayMs: number): void {
    if (this.#cancelFlush !== undefined || this.#closed) return
    this.#cancelFlush = this.#deps.clock.after(delayMs, () => {
      this.#cancelFlush = undefined
      // The failure was reported, and a retry is planned.
      this.flush().catch(() => {})
    })
  }

  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #readAll(generation: Generation, digest: StateDigest): Promise<StateEntry[]> {
    const entries: StateEntry[] = []
    const iterator = this.#db.iterator(rangeOf(generation))
    try {
      for (;;) {
        const items = await iterator.nextv(READ_COUNT)
        if (items.length === 0) return entries
        for (const [key, sealed] of items) {
          digest.set(key, sealed)
          entries.push([key.slice(1), this.#unseal(key, sealed)])
        }
      }
    } finally {
      await iterator.close()
    }
  }

  #put(key: string, value: Uint8Array): { type: 'put'; key: string; value: Uint8Array } {
    return { type: 'put', key, value: this.#seal.seal(key, value) }
  }

  #putMeta(generation: Generation, meta: SnapshotMeta, digest: StateDigest): Operation {
    const writer = new ByteWriter().u8(generation === 'a' ? 0 : 1)
    writer.u64(digest.count).blob(digest.sum).blob(encodeSnapshotMeta(meta))
    return this.#put(META_KEY, writer.finish())
  }

  #readMeta(sealed: Uint8Array): void {
    const bytes = this.#seal.open(META_KEY, sealed)
    // Nothing else tells a wrong key from damage; the key is by far the likelier.
    if (bytes === undefined) throw new StorageKeyError('the state')
    const reader = new ByteReader(bytes)
    this.#generation = reader.u8() === 0 ? 'a' : 'b'
    this.#storedDigest = { count: reader.u64(), sum: reader.blob().slice() }
    this.#stored = decodeSnapshotMeta(reader.blob())
  }

  #unseal(key: string, sealed: Uint8Array): Uint8Array {
    const value = this.#seal.open(key, sealed)
    if (value === undefined)
      throw new StorageCorruptError(`the stored object ${key.slice(1)} is damaged`)
    return value
  }

  #clear(generation: Generation): Promise<void> {
    return this.#db.clear(rangeOf(generation))
  }
}

function other(generation: Generation): Generation {
  return generation === 'a' ? 'b' : 'a'
}

/** All keys that begin with the generation's letter; `meta` and `version` begin with others. */
function rangeOf(generation: Generation): { gte: string; lt: string } {
  return { gte: generation, lt: generation === 'a' ? 'b' : 'c' }
}

function openError(cause: unknown): Error {
  const inner = cause instanceof Error ? cause.cause : undefined
  const code = inner instanceof Error && 'code' in inner ? inner.code : undefined
  // A table or the list of them that isn't there any more is reported as an error of reading.
  const isGone = code === 'LEVEL_IO_ERROR' && /No such file/.test(String(inner))
  if (code === 'LEVEL_CORRUPTION' || isGone) {
    return new StorageCorruptError('the state is damaged', { cause })
  }
  if (code === 'LEVEL_LOCKED') {
    return new StorageFailedError('another process uses the data directory', { cause })
  }
  return new StorageFailedError('the state could not be opened', { cause })
}
