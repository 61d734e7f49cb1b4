import { StorageFailedError } from '../../../src/raft/errors.ts'
import type { MemoryStateStorage } from '../../../src/raft/memory-state-storage.ts'
import type { SnapshotMeta } from '../../../src/raft/message.ts'
import type {
  StateEntry,
  StateInstall,
  StateStorage,
  StateView,
  StateWrite,
} from '../../../src/raft/state-port.ts'
import type { ManagerChecker } from './manager-checker.ts'
import type { LogRecord } from './observed-wal.ts'
import type { Process } from './process.ts'
import { StateHash } from './state-hash.ts'

export interface ObservedStateDeps {
  inner: MemoryStateStorage
  process: Process
  checker: ManagerChecker
  record: LogRecord
  /** Milliseconds that one operation takes. */
  latencyMs: () => number
  /** The disk has no room: what is installed is refused. */
  isFull: () => boolean
  /** It took a snapshot and has no room for the note that it is the state now. */
  refusesSnapshot: () => boolean
}

/** A state storage that takes time, dies between any two steps, and tells the checker what is applied. */
export class ObservedState implements StateStorage {
  readonly #deps: ObservedStateDeps
  #hash = new StateHash()
  #applied = 0

  constructor(deps: ObservedStateDeps) {
    this.#deps = deps
  }

  get flushedIndex(): number {
    return this.#deps.inner.flushedIndex
  }

  async open(): Promise<SnapshotMeta | null> {
    await this.#step()
    return this.#deps.inner.open()
  }

  async load(): Promise<StateEntry[]> {
    await this.#step()
    const entries = await this.#deps.inner.load()
    const meta = await this.#deps.inner.open()
    this.#take(meta, entries)
    return entries
  }

  write(meta: SnapshotMeta, writes: readonly StateWrite[]): void {
    const { inner, process, checker, record } = this.#deps
    if (!process.alive) return
    for (const { key, value } of writes) this.#hash.set(key, value ?? null)
    checker.onApplied(process.id, {
      ...{ meta, from: this.#applied, log: record.durable, hash: this.#hash.value },
    })
    this.#applied = meta.index
    inner.write(meta, writes)
  }

  async flush(): Promise<void> {
    await this.#step()
    await this.#deps.inner.flush()
  }

  async openView(): Promise<StateView> {
    await this.#step()
    const view = await this.#deps.inner.openView()
    return {
      meta: view.meta,
      next: async (bytesMax) => {
        await this.#step()
        return view.next(bytesMax)
      },
      close: () => view.close(),
    }
  }

  async beginInstall(meta: SnapshotMeta): Promise<StateInstall> {
    await this.#step()
    this.#takeRoom()
    const install = await this.#deps.inner.beginInstall(meta)
    const added: StateEntry[] = []
    return {
      add: async (entries) => {
        await this.#step()
        this.#takeRoom()
        await install.add(entries)
        added.push(...entries)
      },
      commit: async () => {
        await this.#step()
        if (this.#deps.refusesSnapshot()) {
          this.#deps.checker.counts.refusedSnapshots += 1
          throw new StorageFailedError('no space left on device')
        }
        if (!this.#deps.process.alive) return
        await install.commit()
        this.#deps.checker.counts.snapshots += 1
        this.#take(meta, added)
        // Dying right after the switch is the case that the start has to bring together.
        await this.#step()
      },
      abort: () => install.abort(),
    }
  }

  close(): Promise<void> {
    return this.#deps.process.alive ? this.#deps.inner.close() : Promise.resolve()
  }

  /** The state is now what these entries are, as of `meta`. */
  #take(meta: SnapshotMeta | null, entries: readonly StateEntry[]): void {
    this.#hash = new StateHash()
    for (const [key, value] of entries) this.#hash.set(key, value)
    this.#applied = meta?.index ?? 0
    if (meta !== null) this.#deps.checker.onState(this.#deps.process.id, meta, this.#hash.value)
  }

  /** As LevelDB: a full disk refuses every write. */
  #takeRoom(): void {
    if (this.#deps.isFull()) throw new StorageFailedError('no space left on device')
  }

  #step(): Promise<void> {
    const { process, latencyMs } = this.#deps
    return new Promise((resolve) => {
      if (process.leaves()) process.enter(latencyMs(), resolve)
    })
  }
}
