// The applied state in LevelDB, written behind as a row of sealed blocks. Two generations of blocks let a
// snapshot come in beside the state in use: which one counts is part of the meta value, so one write switches.

import { dirname } from 'node:path'
import { Level } from 'level'
import { assert } from './assert.ts'
import { ByteReader, ByteWriter, sameBytes } from './bytes.ts'
import type { Clock } from './clock.ts'
import {
  StorageCorruptError,
  StorageFailedError,
  StorageKeyError,
  StorageUnreadableError,
  StorageVersionError,
} from './errors.ts'
import { openError, reading } from './level-error.ts'
import type { SnapshotMeta } from './message.ts'
import { decodeSnapshotMeta, encodeSnapshotMeta } from './snapshot-message.ts'
import type { BlockEntry } from './state-block.ts'
import {
  type Addition,
  type BlocksMark,
  type Generation,
  type Operation,
  rangeOf,
  StateBlocks,
} from './state-blocks.ts'
import type { StateEntry, StateInstall, StateStorage, StateView, StateWrite } from './state-port.ts'
import { StateSeal } from './state-seal.ts'
import { checkTables } from './state-tables.ts'
import { syncDirectory } from './wal-files.ts'

/**
 * Changes wait this long for others: a status that changes often costs one write, and a cluster in which now and then something changes
 * syncs its log and little else.
 */
export const FLUSH_DELAY_MS = 500
/** More than this does not wait: a flush stays a matter of milliseconds. */
const FLUSH_BYTES = 1024 * 1024
/** How long to wait before a flush that the disk refused is tried again. */
const RETRY_MS = 1_000
const META_KEY = 'meta'
const VERSION_KEY = 'version'
/** The version of everything in this database. */
const VERSION = 1
/** Every write syncs: LevelDB can lose an unsynced log file and keep a later synced one. */
const SYNC = { sync: true } as const

export interface LevelStateStorageDeps {
  readonly clock: Clock
  /** 32 bytes: the node's data key. */
  readonly dataKey: Uint8Array
  /**
   * A flush failed and will be tried again; the log isn't compacted meanwhile. Or something that is stored can't be read
   * any more: what is in memory is whole, and the next start will find it. Each is told once.
   */
  readonly onTrouble: (error: StorageFailedError | StorageCorruptError) => void
}

type MetaOperation = Extract<Operation, { type: 'put' }>

/**
 * A write that LevelDB may call failed and have stored after all: a sync fails, and the batch is found in the log at the next open.
 * The meta value tells, as no two are sealed to the same bytes.
 */
interface UnsureWrite {
  readonly meta: Uint8Array
  /** What has to be done if it was stored, before anything else is written. */
  settle(): Promise<void> | void
}

/** The {@link StateStorage} on disk. */
export class LevelStateStorage implements StateStorage {
  readonly #db: Level<string, Uint8Array>
  readonly #directory: string
  readonly #deps: LevelStateStorageDeps
  readonly #seal: StateSeal
  #blocks: StateBlocks
  #stored: SnapshotMeta | null = null
  /** What is taken and not stored yet, the newest value of each key. */
  #dirty = new Map<string, Uint8Array | null>()
  #dirtyMeta: SnapshotMeta | null = null
  #dirtyBytes = 0
  /** The next flush, and after what time it was to begin. */
  #planned: { readonly delayMs: number; readonly cancel: () => void } | undefined
  /** One operation on the database at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #unsure: UnsureWrite | undefined
  #isFailing = false
  #isDamaged = false
  /** How many installs have begun: the last one alone may still be committed. */
  #installs = 0
  #closed = false

  constructor(directory: string, deps: LevelStateStorageDeps) {
    // Sealed values don't compress.
    const options = { valueEncoding: 'view', compression: false } as const
    this.#db = new Level<string, Uint8Array>(directory, options)
    // It would open itself, before anybody has looked at its tables. A failure to close what isn't open is none.
    this.#db.close().catch(() => {})
    this.#directory = directory
    this.#deps = deps
    this.#seal = new StateSeal(deps.dataKey)
    this.#blocks = this.#blocksOf('a')
  }

  get flushedIndex(): number {
    return this.#stored?.index ?? 0
  }

  async open(): Promise<SnapshotMeta | null> {
    await checkTables(this.#directory)
    await this.#db.open().catch((cause) => {
      throw openError(cause)
    })
    const version = await reading(this.#db.get(VERSION_KEY))
    if (version === undefined) {
      await this.#db.put(VERSION_KEY, new Uint8Array([VERSION]), SYNC)
      // LevelDB syncs what is in its directory; the directory's own name is in the parent.
      await syncDirectory(dirname(this.#directory))
    } else if (version[0] !== VERSION) {
      throw new StorageVersionError('the state', version[0], VERSION)
    }
    const sealed = await reading(this.#db.get(META_KEY))
    if (sealed !== undefined) this.#readMeta(sealed)
    await reading(this.#clear(other(this.#blocks.generation)))
    return this.#stored
  }

  load(): Promise<StateEntry[]> {
    return this.#blocks.load()
  }

  write(meta: SnapshotMeta, writes: readonly StateWrite[]): void {
    assert(meta.index >= (this.#dirtyMeta?.index ?? 0), 'the state goes back')
    // Who was removed may wipe its disk: what the others know of members must not be lost with them.
    const isUrgent = meta.membership !== (this.#dirtyMeta ?? this.#stored)?.membership
    for (const { key, value } of writes) {
      this.#dirty.set(key, value ?? null)
      this.#dirtyBytes += key.length + (value?.length ?? 0)
    }
    this.#dirtyMeta = meta
    const delayMs = isUrgent || this.#dirtyBytes > FLUSH_BYTES ? 0 : FLUSH_DELAY_MS
    this.#flushIn(this.#isFailing ? RETRY_MS : delayMs)
  }

  flush(): Promise<void> {
    return this.#exclusive(() => this.#flushNow())
  }

  openView(): Promise<StateView> {
    return this.#exclusive(async () => {
      await this.#flushNow()
      const meta = this.#stored
      assert(meta !== null, 'there is no state to view yet')
      return { meta, ...this.#blocks.openEntries() }
    })
  }

  async beginInstall(meta: SnapshotMeta): Promise<StateInstall> {
    // Which one is free is known when it is this one's turn: an install before it may be about to switch.
    const { blocks, number } = await this.#exclusive(async () => {
      this.#installs += 1
      const free = other(this.#blocks.generation)
      await this.#writing(() => this.#clearFree(free))
      return { blocks: this.#blocksOf(free), number: this.#installs }
    })
    const isCurrent = () => number === this.#installs && blocks !== this.#blocks
    return {
      add: (entries) =>
        this.#exclusive(async () => {
          assert(isCurrent(), 'what is staged is in use, or replaced by a later snapshot')
          const addition = blocks.add(entries)
          await this.#writing(() => this.#db.batch([...addition.operations], SYNC))
          addition.done()
        }),
      commit: () =>
        this.#exclusive(() => {
          assert(number === this.#installs, 'what was staged is replaced by a later snapshot')
          return this.#switchTo(blocks, meta)
        }),
      abort: () =>
        this.#exclusive(async () => {
          if (isCurrent()) await this.#writing(() => this.#clearFree(blocks.generation))
        }),
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#planned?.cancel()
    if (this.#db.status === 'open') await this.#exclusive(() => this.#flushNow()).catch(() => {})
    await this.#db.close()
  }

  async #flushNow(): Promise<void> {
    this.#planned?.cancel()
    this.#planned = undefined
    const meta = this.#dirtyMeta
    if (meta === null) return
    const writes = this.#dirty
    this.#clean()
    try {
      await this.#settle()
      const { operations, mark, done } = await this.#addition([...writes])
      const settle = () => {
        done()
        this.#stored = meta
      }
      await this.#write(operations, this.#putMeta(this.#blocks.generation, meta, mark), settle)
      settle()
      this.#isFailing = false
    } catch (cause) {
      await this.#onFlushFailed(cause, meta, writes)
    }
  }

  /** Writes what comes with a new meta value, which alone makes it count. */
  async #write(
    operations: readonly Operation[],
    meta: MetaOperation,
    settle: UnsureWrite['settle'],
  ): Promise<void> {
    this.#unsure = { meta: meta.value, settle }
    await this.#db.batch([...operations, meta], SYNC)
    this.#unsure = undefined
  }

  /** Finds out whether the write that failed last was stored. */
  async #settle(): Promise<void> {
    if (this.#unsure === undefined) return
    const stored = await this.#db.get(META_KEY)
    if (stored !== undefined && sameBytes(stored, this.#unsure.meta)) await this.#unsure.settle()
    this.#unsure = undefined
  }

  /** What can't be read is not written anew either: the rest goes on to be stored. */
  async #addition(entries: readonly BlockEntry[]): Promise<Addition> {
    if (this.#isDamaged) return this.#blocks.add(entries)
    try {
      return await this.#blocks.addCompacting(entries)
    } catch (error) {
      if (!(error instanceof StorageCorruptError)) throw error
      this.#isDamaged = true
      this.#deps.onTrouble(error)
      return this.#blocks.add(entries)
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
    if (!this.#isFailing) this.#deps.onTrouble(error)
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

  async #switchTo(blocks: StateBlocks, meta: SnapshotMeta): Promise<void> {
    await this.#writing(async () => {
      await this.#settle()
      const operation = this.#putMeta(blocks.generation, meta, blocks.mark)
      await this.#write([], operation, () => this.#switchBack())
    })
    // What was taken for the old state is part of the new one.
    if ((this.#dirtyMeta?.index ?? 0) <= meta.index) this.#clean()
    this.#blocks = blocks
    this.#isDamaged = false
    this.#isFailing = false
    this.#stored = meta
    // What is left of the old one takes only room: the next install and the next start clear it as well.
    await this.#writing(() => this.#clear(other(blocks.generation))).catch(() => {})
  }

  /** Who was told that a switch failed goes on with the state before it, and may do so for long. */
  #switchBack(): Promise<void> {
    const [meta, { generation, mark }] = [this.#stored, this.#blocks]
    if (meta === null) return this.#db.del(META_KEY, SYNC)
    return this.#db.batch([this.#putMeta(generation, meta, mark)], SYNC)
  }

  #clean(): void {
    this.#dirty = new Map()
    this.#dirtyMeta = null
    this.#dirtyBytes = 0
  }

  /** Plans a flush, or an earlier one. */
  #flushIn(delayMs: number): void {
    if (this.#closed || (this.#planned !== undefined && delayMs >= this.#planned.delayMs)) return
    this.#planned?.cancel()
    // Planned until it begins: what comes while it waits for its turn goes with it. A failure was reported, and a retry is planned.
    const cancel = this.#deps.clock.after(delayMs, () => this.flush().catch(() => {}))
    this.#planned = { delayMs, cancel }
  }

  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action)
    this.#last = result.catch(() => undefined)
    return result
  }

  #blocksOf(generation: Generation, mark?: BlocksMark): StateBlocks {
    return new StateBlocks({ db: this.#db, seal: this.#seal, generation }, mark)
  }

  #putMeta(generation: Generation, meta: SnapshotMeta, mark: BlocksMark): MetaOperation {
    const writer = new ByteWriter().u8(generation === 'a' ? 0 : 1)
    writer.u64(mark.first).u64(mark.next).blob(mark.tag).blob(encodeSnapshotMeta(meta))
    return { type: 'put', key: META_KEY, value: this.#seal.seal(META_KEY, writer.finish()) }
  }

  #readMeta(sealed: Uint8Array): void {
    const bytes = this.#seal.open(META_KEY, sealed)
    // Nothing else tells a wrong key from damage; the key is by far the likelier.
    if (bytes === undefined) throw new StorageKeyError('the state')
    try {
      const reader = new ByteReader(bytes)
      const generation = reader.u8() === 0 ? 'a' : 'b'
      const mark = { first: reader.u64(), next: reader.u64(), tag: reader.blob() }
      this.#blocks = this.#blocksOf(generation, mark)
      this.#stored = decodeSnapshotMeta(reader.blob())
    } catch (cause) {
      throw new StorageUnreadableError('the index of the state', cause)
    }
  }

  /** The generation that is not in use, and that a switch that failed must not have brought into use. */
  async #clearFree(generation: Generation): Promise<void> {
    await this.#settle()
    await this.#clear(generation)
  }

  #clear(generation: Generation): Promise<void> {
    return this.#db.clear(rangeOf(generation))
  }
}

function other(generation: Generation): Generation {
  return generation === 'a' ? 'b' : 'a'
}
