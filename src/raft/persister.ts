import type { PersistBatch } from './ready.ts'
import type { Wal } from './wal-port.ts'

/** More batches than these don't wait for a snapshot: a disk may refuse it for long, while a leader probes ten times a second. */
const HELD_MAX = 1_000

export interface PersisterDeps {
  readonly wal: Wal
  /** Makes the state of the batch's snapshot durable. */
  readonly installSnapshot: (batch: PersistBatch) => Promise<void>
  /** The installed state comes into use, before anything after it is written. */
  readonly onInstalled: (batch: PersistBatch) => void
  /** Called in the order in which batches were given; maybe before `persist` returns. */
  readonly onDurable: (batch: PersistBatch) => void
  readonly onFailed: (error: unknown) => void
}

/** Brings the core's batches to the disk in their order; a snapshot's state before the log that begins after it. */
export class Persister {
  readonly #deps: PersisterDeps
  /** Batches that the log was given and that are not durable yet. */
  #unfinished = 0
  /** Settles with the batch that the log was given last. */
  #appended: Promise<void> = Promise.resolve()
  /** Batches that wait until a snapshot before them is stored; undefined when none is. */
  #held: PersistBatch[] | undefined

  constructor(deps: PersisterDeps) {
    this.#deps = deps
  }

  get isInstalling(): boolean {
    return this.#held !== undefined
  }

  /** Whether so much waits for a snapshot that nothing more should be taken from a leader. */
  get isFull(): boolean {
    return (this.#held?.length ?? 0) >= HELD_MAX
  }

  persist(batch: PersistBatch): void {
    if (this.#held !== undefined) {
      this.#held.push(batch)
      return
    }
    if (batch.snapshot === null) {
      this.#append(batch)
      return
    }
    this.#held = []
    this.#install(batch).catch(this.#deps.onFailed)
  }

  /** State first: a crash before the log is begun anew leaves a state that the start can go on from. */
  async #install(batch: PersistBatch): Promise<void> {
    // But a log that nothing was written to yet, beside a state, would look like one that was lost.
    await this.#appended
    await this.#deps.installSnapshot(batch)
    this.#deps.onInstalled(batch)
    const held = this.#held ?? []
    this.#held = undefined
    for (const next of [batch, ...held]) this.#append(next)
  }

  #append(batch: PersistBatch): void {
    const { wal, onDurable, onFailed } = this.#deps
    const { hardState, entries, snapshot } = batch
    if (hardState === null && this.#unfinished === 0) {
      // Nothing to write, and nothing before it: what it promises is durable already.
      onDurable(batch)
      return
    }
    const reset = snapshot === null ? null : { index: snapshot.index, term: snapshot.term }
    this.#unfinished += 1
    this.#appended = wal.append({ hardState, reset, entries })
    this.#appended
      .then(() => {
        this.#unfinished -= 1
        onDurable(batch)
      })
      .catch(onFailed)
  }
}
