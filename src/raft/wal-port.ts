import type { HardState } from './core-state.ts'
import type { Entry, LogPosition } from './entry.ts'
import type { LogFullError } from './errors.ts'

/** What one append makes durable: the reset first, then the entries. */
export interface WalBatch {
  readonly hardState: HardState | null
  /** The log begins anew after this position; what it held before is gone. */
  readonly reset: LogPosition | null
  /** The first may lie inside the log: it and everything after it is then replaced. */
  readonly entries: readonly Entry[]
}

/** What a log holds when it is opened. */
export interface WalContents {
  readonly hardState: HardState
  readonly base: LogPosition
  readonly entries: readonly Entry[]
  /** Nothing was ever written here. */
  readonly isNew: boolean
}

/** The durable log, as the node needs it. One node at a time opens it. */
export interface Wal {
  /**
   * Reads everything. Throws StorageCorruptError for damage before the end, StorageKeyError for a
   * wrong key; an unfinished end is cut off without an error, since nothing in it was acknowledged.
   */
  open(): Promise<WalContents>
  /**
   * Resolves when the batch is durable; batches become durable in the order of the calls, several with
   * one sync. Rejects with StorageFailedError once a write or sync failed, and then for ever: what is on
   * disk is unknown, so the process must end.
   */
  append(batch: WalBatch): Promise<void>
  /** Why no room for more could be had, while there is none: what is given still fits, but stop giving more. */
  readonly roomError: LogFullError | undefined
  /** Synchronous writes to the disk since it was opened: shows that what was acknowledged was made durable. */
  readonly syncCount: number
  /** Entries up to an index are no longer needed; frees space when it can. */
  compactTo(index: number): Promise<void>
  close(): Promise<void>
}

/** A log to which nothing was ever written. */
export const EMPTY_HARD_STATE: HardState = { term: 0, vote: null, commit: 0 }
