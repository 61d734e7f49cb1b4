import type { Clock } from './clock.ts'
import type { SnapshotMeta } from './message.ts'
import type { StateEntry, StateInstall, StateStorage, StateView, StateWrite } from './state-port.ts'

/** What survives a crash of the node that uses a {@link MemoryStateStorage}. */
export class MemoryStateDisk {
  meta: SnapshotMeta | null = null
  values = new Map<string, Uint8Array>()
}

export interface MemoryStateStorageDeps {
  readonly disk: MemoryStateDisk
  readonly clock: Clock
  /** How long changes are kept before they are stored, in milliseconds. */
  readonly flushDelayMs?: number
  /** How long the next access takes, in milliseconds; none without it. */
  readonly accessMs?: () => number
  /** The most bytes that one read of a view returns. */
  readonly viewBytesMax?: number
}

/** The {@link StateStorage} without a disk, for tests and simulations. */
export class MemoryStateStorage implements StateStorage {
  readonly #disk: MemoryStateDisk
  readonly #clock: Clock
  readonly #flushDelayMs: number
  readonly #accessMs: (() => number) | undefined
  readonly #viewBytesMax: number
  #dirty = new Map<string, Uint8Array | null>()
  #dirtyMeta: SnapshotMeta | null = null
  #flushing = false
  #ended = false

  constructor(deps: MemoryStateStorageDeps) {
    this.#disk = deps.disk
    this.#clock = deps.clock
    this.#flushDelayMs = deps.flushDelayMs ?? 0
    this.#accessMs = deps.accessMs
    this.#viewBytesMax = deps.viewBytesMax ?? Number.POSITIVE_INFINITY
  }

  get flushedIndex(): number {
    return this.#disk.meta?.index ?? 0
  }

  async open(): Promise<SnapshotMeta | null> {
    return this.#disk.meta
  }

  async load(): Promise<StateEntry[]> {
    return sortedEntries(this.#disk.values)
  }

  write(meta: SnapshotMeta, writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) this.#dirty.set(key, value ?? null)
    this.#dirtyMeta = meta
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.after(this.#flushDelayMs, () => {
      this.#flushing = false
      this.#flushNow()
    })
  }

  async flush(): Promise<void> {
    this.#flushNow()
  }

  async openView(): Promise<StateView> {
    await this.#access()
    this.#flushNow()
    const { meta } = this.#disk
    if (meta === null) throw new Error('there is no state to view yet')
    const rest = sortedEntries(this.#disk.values)
    return {
      meta,
      next: async (bytesMax) => {
        await this.#access()
        const entries: StateEntry[] = []
        const most = Math.min(bytesMax, this.#viewBytesMax)
        for (let bytes = 0; bytes < most && rest.length > 0; ) {
          const entry = rest.shift()
          if (entry === undefined) break
          entries.push(entry)
          bytes += entry[0].length + entry[1].length
        }
        return entries.length === 0 ? null : entries
      },
      close: async () => {},
    }
  }

  async beginInstall(meta: SnapshotMeta): Promise<StateInstall> {
    const staged = new Map<string, Uint8Array>()
    return {
      add: async (entries) => {
        await this.#access()
        for (const [key, value] of entries) staged.set(key, value)
      },
      commit: async () => {
        await this.#access()
        if (this.#ended) return
        this.#dirty = new Map()
        this.#dirtyMeta = null
        this.#disk.meta = meta
        this.#disk.values = new Map(staged)
      },
      abort: async () => {},
    }
  }

  async close(): Promise<void> {
    this.#flushNow()
    this.#ended = true
  }

  /** The process ends here: what was not stored is lost. */
  crash(): void {
    this.#ended = true
  }

  /** An access that the process did not live to see the end of never ends. */
  #access(): Promise<void> {
    const accessMs = this.#accessMs
    if (accessMs === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#clock.after(accessMs(), resolve)
    })
  }

  #flushNow(): void {
    if (this.#ended || this.#dirtyMeta === null) return
    for (const [key, value] of this.#dirty) {
      if (value === null) this.#disk.values.delete(key)
      else this.#disk.values.set(key, value)
    }
    this.#disk.meta = this.#dirtyMeta
    this.#dirty = new Map()
    this.#dirtyMeta = null
  }
}

function sortedEntries(values: ReadonlyMap<string, Uint8Array>): StateEntry[] {
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1))
}
