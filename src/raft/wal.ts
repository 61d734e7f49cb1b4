// The write-ahead log: group commit in front of a chain of preallocated segments.

import { assert } from './assert.ts'
import type { Clock } from './clock.ts'
import { dataBytesOf, type Entry, sizeOfEntries } from './entry.ts'
import { type LogFullError, StoppedError, StorageFailedError } from './errors.ts'
import type { WalFiles } from './wal-files.ts'
import type { Wal, WalBatch, WalContents } from './wal-port.ts'
import { encodeRecords, type WalRecord } from './wal-record.ts'
import { SegmentWriter } from './wal-segment-writer.ts'

/** Frames end here, but for one entry that is larger: long enough to carry many, short to sync. */
const FRAME_BYTES_MAX = 1024 * 1024
/** A larger entry gets a frame of its own, which must fit a segment. etcd refuses requests above the same 1.5 MiB. */
export const ENTRY_BYTES_MAX = 1536 * 1024
/**
 * A segment is read whole at start, zeroed whole when it is first allocated, and kept until all of
 * it is compacted: 4 MiB costs milliseconds for each and holds thousands of changes. Measurements
 * showed no gain from larger ones, since a new segment is ready before the old one is full.
 */
export const SEGMENT_BYTES = 4 * 1024 * 1024

export interface FileWalDeps {
  readonly files: WalFiles
  readonly clock: Clock
  /** 32 bytes: the node's data key. */
  readonly dataKey: Uint8Array
  /** No room for more could be had, and it is tried again: told once, and once more when the reason is another. */
  readonly onTrouble?: (error: LogFullError) => void
}

export interface FileWalOptions {
  readonly segmentBytes?: number
}

interface Waiting {
  readonly records: WalRecord[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The {@link Wal} on files. */
export class FileWal implements Wal {
  readonly #segments: SegmentWriter
  #queue: Waiting[] = []
  #isWriting = false
  #failure: StorageFailedError | undefined
  #closed = false

  constructor(deps: FileWalDeps, options: FileWalOptions = {}) {
    const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#segments = new SegmentWriter({ ...deps, segmentBytes })
  }

  get roomError(): LogFullError | undefined {
    return this.#segments.roomError
  }

  get syncCount(): number {
    return this.#segments.syncCount
  }

  open(): Promise<WalContents> {
    return this.#segments.open()
  }

  append(batch: WalBatch): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#closed) return Promise.reject(new StoppedError())
    return this.#enqueue(recordsOf(batch))
  }

  compactTo(index: number): Promise<void> {
    return this.#segments.compactTo(index)
  }

  /** Waits for what was given, proves the last frame by one that follows it, and closes the files. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#segments.stopWaiting()
    if (this.#failure === undefined && this.#segments.isOpen) {
      await this.#enqueue([{ kind: 'close' }]).catch(() => undefined)
    }
    await this.#segments.close()
  }

  #enqueue(records: WalRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, resolve, reject })
      if (!this.#isWriting) void this.#write()
    })
  }

  /** The only writer: one frame at a time, and all that arrived meanwhile is the next. The first is on its way when this returns. */
  async #write(): Promise<void> {
    this.#isWriting = true
    while (this.#queue.length > 0) {
      const { records, finished } = this.#takeFrame()
      try {
        if (records.length > 0) await this.#segments.write(encodeRecords(records), records)
      } catch (cause) {
        // It stays the writer: nothing is written after a failure.
        this.#fail(cause, finished)
        return
      }
      for (const waiting of finished) waiting.resolve()
    }
    this.#isWriting = false
  }

  #takeFrame(): { records: WalRecord[]; finished: Waiting[] } {
    const records: WalRecord[] = []
    const finished: Waiting[] = []
    let bytes = 0
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      for (let record = head.records[0]; record !== undefined; record = head.records[0]) {
        const size = bytesOfNextEntries(head.records)
        if (bytes > 0 && bytes + size > FRAME_BYTES_MAX) return { records, finished }
        if (record.kind === 'entries') bytes += size
        records.push(record)
        head.records.shift()
      }
      this.#queue.shift()
      finished.push(head)
    }
    return { records, finished }
  }

  #fail(cause: unknown, finished: readonly Waiting[]): void {
    if (cause instanceof StoppedError) {
      for (const waiting of [...finished, ...this.#queue]) waiting.reject(cause)
      this.#queue = []
      return
    }
    const error = new StorageFailedError('the log could not be written', { cause })
    this.#failure = error
    for (const waiting of [...finished, ...this.#queue]) waiting.reject(error)
    this.#queue = []
  }
}

function recordsOf(batch: WalBatch): WalRecord[] {
  const records: WalRecord[] = []
  if (batch.hardState !== null) records.push({ kind: 'hard-state', hardState: batch.hardState })
  if (batch.reset !== null) records.push({ kind: 'reset', position: batch.reset })
  for (const entries of pieces(batch.entries)) records.push({ kind: 'entries', entries })
  return records
}

/**
 * A hard state is in one frame with the first entries of its batch. These may replace others at indexes that it calls committed: after
 * a crash between the two frames, what was to be replaced would be applied.
 */
function bytesOfNextEntries(records: readonly WalRecord[]): number {
  const next = records.find((record) => record.kind === 'entries')
  return next === undefined ? 0 : sizeOfEntries(next.entries)
}

/** Cuts entries into runs that fit a frame. */
function pieces(entries: readonly Entry[]): Entry[][] {
  const runs: Entry[][] = []
  let bytes = 0
  for (const entry of entries) {
    assert(dataBytesOf(entry) <= ENTRY_BYTES_MAX, 'an entry is larger than the log takes')
    bytes += entry.bytes.length
    const run = runs.at(-1)
    if (run !== undefined && bytes <= FRAME_BYTES_MAX) run.push(entry)
    else {
      runs.push([entry])
      bytes = entry.bytes.length
    }
  }
  return runs
}
