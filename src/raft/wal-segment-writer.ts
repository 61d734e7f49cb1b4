// Which file the next frame goes to: the current segment, then a spare one that was made ready before.

import type { KeyObject } from 'node:crypto'
import { assert } from './assert.ts'
import type { Clock } from './clock.ts'
import type { HardState } from './core-state.ts'
import type { LogPosition } from './entry.ts'
import { LogFullError, StoppedError } from './errors.ts'
import { NonceSource, sealKey } from './state-seal-key.ts'
import type { WalFile, WalFiles } from './wal-files.ts'
import {
  type FrameSeal,
  frameSize,
  prepareSeal,
  SECTOR_BYTES,
  sealFrame,
  TAG_BYTES,
} from './wal-frame.ts'
import { EMPTY_HARD_STATE, type WalContents } from './wal-port.ts'
import { encodeRecords, type WalRecord } from './wal-record.ts'
import { type KnownSegment, type Recovered, recover } from './wal-recovery.ts'
import { createSegmentHeader, segmentName } from './wal-segment.ts'

/** A spare segment: zeros, or what a recycled one held, which its new key makes unreadable. */
const SPARE_NAME = 'spare.seg'
/** How long to wait before a full disk is tried again. */
const RETRY_MS = 1_000

export interface SegmentWriterDeps {
  readonly files: WalFiles
  readonly clock: Clock
  readonly dataKey: Uint8Array
  readonly segmentBytes: number
  readonly onTrouble?: (error: LogFullError) => void
}

interface Current {
  readonly file: WalFile
  readonly key: KeyObject
  readonly known: KnownSegment
  offset: number
  /** Of the next frame, when it is prepared. */
  seal?: FrameSeal
}

export class SegmentWriter {
  readonly #deps: SegmentWriterDeps
  readonly #nonces = new NonceSource()
  #current: Current | undefined
  #segments: KnownSegment[] = []
  /** The newest segment with a whole frame. A newer one is empty until its checkpoint is durable. */
  #newest: KnownSegment | undefined
  #sequence = 0
  #tag: Uint8Array = new Uint8Array(TAG_BYTES)
  #hardState: HardState = EMPTY_HARD_STATE
  #last: LogPosition = { index: 0, term: 0 }
  #spareReady = false
  /** The spare is about to become the current segment: until then its name is taken. */
  #takingSpare = false
  #allocating: Promise<void> | undefined
  #roomError: LogFullError | undefined
  #syncCount = 0
  #stopping = false
  #wake: (() => void) | undefined
  #compacting: Promise<void> = Promise.resolve()

  constructor(deps: SegmentWriterDeps) {
    this.#deps = deps
  }

  /** Why no spare segment could be allocated, until one is. */
  get roomError(): LogFullError | undefined {
    return this.#roomError
  }

  /** Frames that were written; each is one synchronous write. */
  get syncCount(): number {
    return this.#syncCount
  }

  get isOpen(): boolean {
    return this.#current !== undefined
  }

  async open(): Promise<WalContents> {
    const { files, dataKey } = this.#deps
    const names = await files.list()
    // A spare may be half written: it is made again.
    if (names.includes(SPARE_NAME)) await files.remove(SPARE_NAME)
    const recovered = await recover(files, dataKey)
    for (const number of recovered.unused) await files.remove(segmentName(number))
    await this.#resume(recovered)
    return recovered.contents
  }

  /** Writes one frame; durable when it resolves. Rejects with StoppedError if it waited for room meanwhile. */
  async write(payload: Uint8Array, records: readonly WalRecord[]): Promise<void> {
    const needed = frameSize(payload.length)
    assert(needed + 2 * SECTOR_BYTES <= this.#deps.segmentBytes, 'a frame is larger than a segment')
    if (this.#current === undefined || this.#current.offset + needed > this.#deps.segmentBytes) {
      await this.#roll()
    }
    await this.#writeFrame(payload)
    for (const record of records) this.#note(record)
    if (!this.#spareReady) this.#allocate()
  }

  /** Frees the oldest segments whose entries are all compacted: one becomes the spare, the others go. */
  compactTo(index: number): Promise<void> {
    const before = this.#compacting.catch(() => undefined)
    this.#compacting = before.then(async () => {
      for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
        if (first === this.#newest || first === this.#current?.known || first.lastIndex > index)
          return
        // Out of the list last: one that stays, while those after it go, would look like damage.
        await this.#release(first).catch(passIfGone)
        this.#segments.shift()
      }
    })
    return this.#compacting
  }

  /** Ends a wait for room, so that a node can stop while its disk is full. */
  stopWaiting(): void {
    this.#stopping = true
    this.#wake?.()
  }

  async close(): Promise<void> {
    await this.#allocating
    await this.#compacting.catch(() => undefined)
    await this.#current?.file.close()
    this.#current = undefined
  }

  async #resume(recovered: Recovered): Promise<void> {
    const { contents, tail, segments } = recovered
    this.#segments = segments
    this.#hardState = contents.hardState
    this.#last = contents.entries.at(-1) ?? contents.base
    if (tail === undefined) {
      await this.#roll()
      return
    }
    const known = segments.at(-1)
    assert(known !== undefined && known.number === tail.number, 'the log ends in another segment')
    const file = await this.#deps.files.open(segmentName(tail.number))
    this.#current = { file, key: sealKey(tail.key), known, offset: tail.offset }
    this.#newest = known
    this.#sequence = tail.sequence
    this.#tag = tail.tag
    this.#allocate()
  }

  /** Goes on in a new segment, waiting for room if there is none. */
  async #roll(): Promise<void> {
    while (!this.#spareReady) {
      this.#allocate()
      await this.#allocating
      if (!this.#spareReady) await this.#waitForRoom()
    }
    this.#spareReady = false
    this.#takingSpare = true
    const { files, dataKey } = this.#deps
    const number = (this.#segments.at(-1)?.number ?? 0) + 1
    const { header, key } = createSegmentHeader(dataKey, number)
    const file = await files.open(SPARE_NAME)
    // The header is durable before the name is: a segment with a bad header is damage, never a crash.
    await file.write(header, 0)
    await files.rename(SPARE_NAME, segmentName(number))
    this.#takingSpare = false
    await this.#current?.file.close()
    const known: KnownSegment = { number, lastIndex: 0 }
    this.#segments.push(known)
    this.#current = { file, key: sealKey(key), known, offset: SECTOR_BYTES }
    const checkpoint = { kind: 'checkpoint', hardState: this.#hardState, last: this.#last } as const
    await this.#writeFrame(encodeRecords([checkpoint]))
    this.#newest = known
  }

  async #writeFrame(payload: Uint8Array): Promise<void> {
    const current = this.#current
    assert(current !== undefined, 'the log is not open')
    const position = { sequence: this.#sequence + 1, previousTag: this.#tag }
    const { bytes, tag } = sealFrame(current.seal ?? this.#newSeal(current.key), position, payload)
    const written = current.file.write(bytes, current.offset)
    // While the disk works: whoever waits for the next frame does not wait for its cipher.
    current.seal = this.#newSeal(current.key)
    await written
    this.#syncCount += 1
    this.#sequence += 1
    this.#tag = tag
    current.offset += bytes.length
  }

  /** One at a time: the next draw overwrites its nonce. */
  #newSeal(key: KeyObject): FrameSeal {
    return prepareSeal(key, this.#nonces.next())
  }

  #note(record: WalRecord): void {
    const current = this.#current
    assert(current !== undefined, 'the log is not open')
    if (record.kind === 'hard-state') this.#hardState = record.hardState
    if (record.kind === 'reset') {
      this.#last = record.position
      for (const segment of this.#segments) segment.lastIndex = 0
    }
    const last = record.kind === 'entries' ? record.entries.at(-1) : undefined
    if (last === undefined) return
    this.#last = { index: last.index, term: last.term }
    current.known.lastIndex = Math.max(current.known.lastIndex, last.index)
  }

  async #release(segment: KnownSegment): Promise<void> {
    const { files } = this.#deps
    const name = segmentName(segment.number)
    if (this.#spareReady || this.#takingSpare || this.#allocating !== undefined) {
      await files.remove(name)
      return
    }
    // While this goes on nobody may make a spare of the same name: the next segment would be the wrong file.
    const renamed = files.rename(name, SPARE_NAME)
    this.#allocating = renamed.then(
      () => {
        this.#allocating = undefined
        this.#onRoom()
      },
      () => {
        this.#allocating = undefined
        this.#allocate()
      },
    )
    await renamed
  }

  /** Makes the spare segment in the background, while the current one fills. */
  #allocate(): void {
    if (this.#spareReady || this.#takingSpare || this.#allocating !== undefined) return
    const { files, segmentBytes } = this.#deps
    const done = files.allocate(SPARE_NAME, segmentBytes).then(
      () => this.#onRoom(),
      // Not fatal: nothing of the log was touched. The node refuses proposals until there is room.
      (cause) => this.#onNoRoom(new LogFullError(cause)),
    )
    this.#allocating = done.then(() => {
      this.#allocating = undefined
      if (this.#roomError !== undefined && !this.#stopping)
        this.#deps.clock.after(RETRY_MS, () => this.#retry())
    })
  }

  #retry(): void {
    if (!this.#stopping) this.#allocate()
  }

  #onRoom(): void {
    this.#spareReady = true
    this.#roomError = undefined
    this.#wake?.()
  }

  #onNoRoom(error: LogFullError): void {
    const isTold = error.message === this.#roomError?.message
    this.#roomError = error
    if (!isTold) this.#deps.onTrouble?.(error)
  }

  async #waitForRoom(): Promise<void> {
    if (this.#stopping) throw new StoppedError()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
    if (this.#stopping) throw new StoppedError()
  }
}

/** An attempt before may have failed after the file was gone. */
function passIfGone(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
}
