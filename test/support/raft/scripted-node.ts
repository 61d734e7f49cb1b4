import { RaftCore } from '../../../src/raft/core.ts'
import type { CoreOptions } from '../../../src/raft/core-options.ts'
import { createEntry, type Entry, type LogPosition } from '../../../src/raft/entry.ts'
import { EMPTY_MEMBERSHIP, type Membership } from '../../../src/raft/membership.ts'
import { MemoryWalDisk } from '../../../src/raft/memory-wal.ts'
import type { PersistBatch } from '../../../src/raft/ready.ts'

/** What a node of a script starts with: a state at an index of term 1, or nothing. */
export interface ScriptedStart {
  readonly index: number
  readonly membership: Membership
  /** The terms of the entries after the state, none of which is committed. */
  readonly log: readonly number[]
  readonly options: Partial<CoreOptions>
}

/** A core, its disk, and what waits for the disk. */
export class ScriptedNode {
  readonly id: string
  readonly disk = new MemoryWalDisk()
  readonly batches: PersistBatch[] = []
  readonly #options: Partial<CoreOptions>
  /** What the state contains; written with each apply, so it never lags here. */
  #applied: LogPosition
  #membership: Membership
  core: RaftCore
  isRemoved = false

  constructor(id: string, { index, membership, options, log }: ScriptedStart) {
    this.id = id
    this.#options = options
    const term = index === 0 ? 0 : 1
    this.#applied = { index, term }
    this.#membership = index === 0 ? EMPTY_MEMBERSHIP : membership
    this.disk.base = { index, term }
    this.disk.hardState = { term: log.at(-1) ?? term, vote: null, commit: index }
    this.disk.entries = log.map((term, at) => createEntry({ index: index + 1 + at, term }, 'noop'))
    this.core = this.#start()
  }

  #start(): RaftCore {
    const { hardState, base, entries } = this.disk
    const random = () => (Number(this.id) % 10) / 10
    return new RaftCore(
      {
        ...{ id: this.id, hardState, base, entries: [...entries], random },
        ...{ applied: this.#applied.index, membership: this.#membership },
      },
      this.#options,
    )
  }

  /** The process begins anew with what is durable. */
  restart(): void {
    this.batches.length = 0
    this.core = this.#start()
  }

  apply(entries: readonly Entry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    this.core.onApplied(last.index)
    this.#applied = { index: last.index, term: last.term }
    this.#membership = this.core.membership
  }

  /** The oldest batch becomes durable; what waited for it may be sent. */
  persist(): PersistBatch | undefined {
    const batch = this.batches.shift()
    if (batch === undefined) return undefined
    const { hardState, entries, snapshot } = batch
    if (snapshot !== null) {
      this.#applied = { index: snapshot.index, term: snapshot.term }
      this.#membership = snapshot.membership
      this.core.onSnapshotInstalled()
    }
    this.disk.apply({ hardState, entries, reset: snapshot })
    this.core.onAppended(batch.ioId)
    return batch
  }
}
