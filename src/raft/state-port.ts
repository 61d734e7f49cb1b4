import type { SnapshotMeta } from './message.ts'

/** A key and its value. */
export type StateEntry = readonly [key: string, value: Uint8Array]

/** A changed key; without a value it is removed. */
export interface StateWrite {
  readonly key: string
  readonly value?: Uint8Array | null
}

/** A consistent view of the stored state, read in pieces; writes that come later are not in it. */
export interface StateView {
  readonly meta: SnapshotMeta
  /** The next entries, at least one and then up to a number of bytes, each key once; null at the end. */
  next(bytesMax: number): Promise<StateEntry[] | null>
  close(): Promise<void>
}

/** A snapshot on its way in. Until `commit` the old state stays what is stored. */
export interface StateInstall {
  /** Durable when it resolves. */
  add(entries: readonly StateEntry[]): Promise<void>
  /** Makes it the stored state, in one durable step, and drops the old one. */
  commit(): Promise<void>
  abort(): Promise<void>
}

/**
 * Where the applied state is kept. The log is what makes a write durable; this is written behind, and
 * what it lacks is replayed from the log. `meta` always says exactly up to which entry it is complete.
 */
export interface StateStorage {
  /** Throws StorageCorruptError or StorageKeyError; null when there is no state yet. */
  open(): Promise<SnapshotMeta | null>
  /** All of the stored state. Throws StorageCorruptError if anything is missing or damaged. */
  load(): Promise<StateEntry[]>
  /** Takes changes up to an index; they are stored some time later, together with `meta`. */
  write(meta: SnapshotMeta, writes: readonly StateWrite[]): void
  /** The index up to which everything is stored. */
  readonly flushedIndex: number
  /** Stores what was taken. Rejects when the disk refuses it: it is kept and tried again later. */
  flush(): Promise<void>
  /** Stores what was taken, then opens a view of it. */
  openView(): Promise<StateView>
  /** Begins to take a snapshot in; one at a time, an earlier one is dropped. */
  beginInstall(meta: SnapshotMeta): Promise<StateInstall>
  close(): Promise<void>
}
