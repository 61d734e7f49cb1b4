import type { Entry, LogPosition } from '../../../src/raft/entry.ts'
import { MemoryWal, type MemoryWalDeps, MemoryWalDisk } from '../../../src/raft/memory-wal.ts'
import type { WalBatch } from '../../../src/raft/wal-port.ts'

/** Told of everything that a node gives its disk, and of everything that becomes durable, before it does. */
export interface DiskObserver {
  onGiven(batch: WalBatch): void
  onWrite(disk: CheckedWalDisk, batch: WalBatch): void
}

/** A disk whose log is chained: the hash at an index speaks for everything up to it. */
export class CheckedWalDisk extends MemoryWalDisk {
  /** The member, and which of its disks: one that was removed and lost its disk begins anew. */
  readonly owner: string
  readonly generation: number
  readonly #observer: DiskObserver
  readonly #chain = new Map<number, number>()

  constructor(owner: string, generation: number, observer: DiskObserver) {
    super()
    this.owner = owner
    this.generation = generation
    this.#observer = observer
  }

  get lastPosition(): LogPosition {
    return this.entries.at(-1) ?? this.base
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length
  }

  entryAt(index: number): Entry | undefined {
    return this.entries[index - this.base.index - 1]
  }

  termAt(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entryAt(index)?.term
  }

  /** Undefined where the log before was never seen here: at and before a snapshot. */
  chainAt(index: number): number | undefined {
    return this.#chain.get(index)
  }

  /** The node decided on this now; the disk may take its time. */
  give(batch: WalBatch): void {
    this.#observer.onGiven(batch)
  }

  override apply(batch: WalBatch): void {
    this.#observer.onWrite(this, batch)
    super.apply(batch)
  }

  /** A snapshot replaced everything. */
  unlink(): void {
    this.#chain.clear()
  }

  /** What the hash of everything up to here is; the checker knows it for the base of a snapshot. */
  link(index: number, hash: number): void {
    this.#chain.set(index, hash)
  }
}

/** The log of a checked disk. */
export class CheckedWal extends MemoryWal {
  readonly #disk: CheckedWalDisk

  constructor(deps: MemoryWalDeps & { readonly disk: CheckedWalDisk }) {
    super(deps)
    this.#disk = deps.disk
  }

  override append(batch: WalBatch): Promise<void> {
    this.#disk.give(batch)
    return super.append(batch)
  }
}

/** A hash of bytes on top of another (FNV-1a, 32 bits). */
export function chainHash(before: number, bytes: Uint8Array): number {
  let hash = before ^ 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
