import type { Clock } from './clock.ts'
import type { HardState } from './core-state.ts'
import type { Entry, LogPosition } from './entry.ts'
import { LogFullError, StoppedError, StorageFailedError } from './errors.ts'
import { EMPTY_HARD_STATE, type Wal, type WalBatch, type WalContents } from './wal-port.ts'

const NO_SPACE = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

/** What survives a crash of the node that uses a {@link MemoryWal}. */
export class MemoryWalDisk {
  hardState: HardState = EMPTY_HARD_STATE
  base: LogPosition = { index: 0, term: 0 }
  entries: Entry[] = []
  isNew = true
  /** Set it to refuse more, as a full disk does. */
  full = false
  /** Set it to fail the next sync, and with it the node. */
  failing = false

  apply(batch: WalBatch): void {
    this.isNew = false
    if (batch.hardState !== null) this.hardState = batch.hardState
    if (batch.reset !== null) {
      this.base = batch.reset
      this.entries = []
    }
    for (const entry of batch.entries) {
      this.entries.length = Math.max(0, entry.index - this.base.index - 1)
      this.entries.push(entry)
    }
  }
}

export interface MemoryWalDeps {
  readonly disk: MemoryWalDisk
  readonly clock: Clock
  /** How long the next sync takes, in milliseconds. */
  readonly syncMs?: () => number
}

interface Waiting {
  readonly batch: WalBatch
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The {@link Wal} without a disk, for tests and simulations; `crash` loses what was not synced. */
export class MemoryWal implements Wal {
  readonly #disk: MemoryWalDisk
  readonly #clock: Clock
  readonly #syncMs: () => number
  #queue: Waiting[] = []
  #syncing: Waiting[] = []
  #ended = false
  #syncCount = 0
  #failed: StorageFailedError | undefined

  constructor(deps: MemoryWalDeps) {
    this.#disk = deps.disk
    this.#clock = deps.clock
    this.#syncMs = deps.syncMs ?? (() => 0)
  }

  get syncCount(): number {
    return this.#syncCount
  }

  get roomError(): LogFullError | undefined {
    return this.#disk.full ? new LogFullError(NO_SPACE) : undefined
  }

  async open(): Promise<WalContents> {
    const { hardState, base, entries, isNew } = this.#disk
    return { hardState, base, entries: [...entries], isNew }
  }

  append(batch: WalBatch): Promise<void> {
    if (this.#ended) return Promise.reject(new StoppedError())
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, resolve, reject })
      if (this.#syncing.length === 0) this.#sync()
    })
  }

  async compactTo(index: number): Promise<void> {
    const { base, entries } = this.#disk
    const last = entries[index - base.index - 1]
    if (last === undefined) return
    this.#disk.entries = entries.slice(index - base.index)
    this.#disk.base = { index: last.index, term: last.term }
  }

  async close(): Promise<void> {
    for (const waiting of this.#crashTo(Number.POSITIVE_INFINITY)) waiting.resolve()
  }

  /** The process ends here: of what was not synced, a number of batches got to the disk nevertheless. */
  crash(batchesKept: number): void {
    this.#crashTo(batchesKept)
  }

  #crashTo(batchesKept: number): Waiting[] {
    this.#ended = true
    const kept = [...this.#syncing, ...this.#queue].slice(0, batchesKept)
    for (const { batch } of kept) this.#disk.apply(batch)
    this.#syncing = []
    this.#queue = []
    return kept
  }

  /** Nothing that waits is known to be on the disk, and nothing more will be. */
  #fail(): void {
    const failed = new StorageFailedError('the log could not be synced')
    this.#failed = failed
    for (const { reject } of [...this.#syncing, ...this.#queue]) reject(failed)
  }

  #sync(): void {
    this.#syncing = this.#queue
    this.#queue = []
    const group = this.#syncing
    this.#clock.after(this.#syncMs(), () => {
      if (this.#ended) return
      if (this.#disk.failing) {
        this.#fail()
        return
      }
      this.#syncCount += 1
      for (const { batch } of group) this.#disk.apply(batch)
      this.#syncing = []
      if (this.#queue.length > 0) this.#sync()
      for (const waiting of group) waiting.resolve()
    })
  }
}
