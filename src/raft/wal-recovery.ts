// Reads a log back. One frame is written at a time and the next only after the sync of the one
// before. So whatever follows a bad frame proves that the bad one was once whole: that is damage, and
// the node must not vote. A bad frame that nothing follows is an unfinished write, never acknowledged.

import { assert } from './assert.ts'
import { sameBytes } from './bytes.ts'
import type { HardState } from './core-state.ts'
import type { Entry, LogPosition } from './entry.ts'
import { StorageCorruptError, StorageUnreadableError } from './errors.ts'
import type { WalFiles } from './wal-files.ts'
import { openFrame, SECTOR_BYTES } from './wal-frame.ts'
import { EMPTY_HARD_STATE, type WalContents } from './wal-port.ts'
import { decodeRecords, type WalRecord } from './wal-record.ts'
import { hasFrameAfter, openSegmentHeader, segmentName, segmentNumber } from './wal-segment.ts'

/** A segment that holds something. */
export interface KnownSegment {
  readonly number: number
  /** The highest index of any entry in it: when that is compacted, the segment can go. */
  lastIndex: number
}

/** Where writing goes on. */
export interface WalTail {
  readonly number: number
  readonly key: Uint8Array
  readonly offset: number
  readonly sequence: number
  readonly tag: Uint8Array
}

export interface Recovered {
  readonly contents: WalContents
  readonly segments: KnownSegment[]
  /** Undefined when nothing was ever written. */
  readonly tail: WalTail | undefined
  /** Segments without a whole frame: they can be used anew. */
  readonly unused: readonly number[]
}

/** Reads all segments; throws StorageCorruptError, StorageKeyError, or what the files throw. */
export async function recover(files: WalFiles, dataKey: Uint8Array): Promise<Recovered> {
  const numbers = (await files.list())
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b)
  const reader = new LogReader()
  const unused: number[] = []
  for (const number of numbers) {
    const bytes = await files.read(segmentName(number))
    const key = openSegmentHeader(dataKey, number, bytes)
    if (!reader.readSegment(number, key, bytes)) unused.push(number)
  }
  return { ...reader.finish(), unused }
}

function recordsOf(payload: Uint8Array, segment: number): WalRecord[] {
  try {
    return decodeRecords(payload)
  } catch (cause) {
    throw new StorageUnreadableError(`${segmentName(segment)} of the log`, cause)
  }
}

class LogReader {
  #hardState: HardState = EMPTY_HARD_STATE
  #base: LogPosition = { index: 0, term: 0 }
  #entries: Entry[] = []
  #segments: KnownSegment[] = []
  #tail: WalTail | undefined

  /** False when the segment holds no frame at all. */
  readSegment(number: number, key: Uint8Array, bytes: Buffer): boolean {
    const segment: KnownSegment = { number, lastIndex: 0 }
    let offset = SECTOR_BYTES
    for (;;) {
      const frame = openFrame(key, bytes, offset)
      const expected = this.#tail === undefined ? frame?.sequence : this.#tail.sequence + 1
      if (frame === undefined || frame.sequence !== expected) break
      if (this.#tail !== undefined && !sameBytes(frame.previousTag, this.#tail.tag)) break
      if (offset === SECTOR_BYTES) this.#begin(segment)
      for (const record of recordsOf(frame.payload, number)) this.#take(record, segment)
      offset += frame.sizeBytes
      this.#tail = { number, key, offset, sequence: frame.sequence, tag: frame.tag }
    }
    if (hasFrameAfter(key, bytes, offset)) {
      throw new StorageCorruptError(`${segmentName(number)} is damaged at byte ${offset}`)
    }
    return offset > SECTOR_BYTES
  }

  finish(): Omit<Recovered, 'unused'> {
    // A crash right after the first segment was made leaves a checkpoint of nothing.
    const isNew = this.#hardState.term === 0 && this.#entries.length === 0
    const contents = {
      hardState: this.#hardState,
      base: this.#base,
      entries: this.#entries,
      isNew,
    }
    return { contents, segments: this.#segments, tail: this.#tail }
  }

  #begin(segment: KnownSegment): void {
    const previous = this.#segments.at(-1)
    if (previous !== undefined && previous.number + 1 !== segment.number) {
      throw new StorageCorruptError(
        `a log segment before ${segmentName(segment.number)} is missing`,
      )
    }
    this.#segments.push(segment)
  }

  #take(record: WalRecord, segment: KnownSegment): void {
    switch (record.kind) {
      case 'hard-state':
        this.#hardState = record.hardState
        break
      case 'reset':
        this.#base = record.position
        this.#entries = []
        for (const earlier of this.#segments) earlier.lastIndex = 0
        break
      case 'entries':
        for (const entry of record.entries) this.#append(entry)
        segment.lastIndex = Math.max(segment.lastIndex, record.entries.at(-1)?.index ?? 0)
        break
      case 'checkpoint':
        this.#hardState = record.hardState
        // Only the first segment that is left begins the log; in all others this only repeats.
        if (this.#segments.length === 1) this.#base = record.last
        break
      case 'close':
        break
      default:
        record satisfies never
    }
  }

  #append(entry: Entry): void {
    const kept = entry.index - this.#base.index - 1
    if (kept < 0) {
      // The segments before are gone, and this one rewrites the end of what they held. All of that
      // is committed by now, so the entries here are the right ones: the base takes their term.
      if (entry.index === this.#base.index) this.#base = { index: entry.index, term: entry.term }
      return
    }
    if (kept > this.#entries.length) {
      throw new StorageCorruptError(`the log lacks entries before ${entry.index}`)
    }
    this.#entries.length = kept
    this.#entries.push(entry)
    assert(this.#base.index + this.#entries.length === entry.index, 'the log is not contiguous')
  }
}
