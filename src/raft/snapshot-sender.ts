// The leader's side of a snapshot: a consistent view of the stored state, read and sent one chunk at a
// time. The loop is never stopped to serialise anything, and a lost chunk is sent again.

import { checksumOf } from './checksum.ts'
import type { RaftNodeId } from './membership.ts'
import type { RaftLogger } from './node-ports.ts'
import {
  encodeSnapshotMeta,
  encodeStateEntries,
  type SnapshotAck,
  type SnapshotChunk,
} from './snapshot-message.ts'
import type { StateStorage, StateView } from './state-port.ts'

/** A chunk stays near this: large enough for speed, small enough not to delay a heartbeat. */
const CHUNK_BYTES = 256 * 1024
/** A chunk without an answer is sent again after this. */
const RESEND_MS = 500
/** Without any progress a transfer ends after this; it never ends because it is long. */
const STALLED_MS = 10_000
/**
 * So long the log that follows a snapshot is kept for who got it: it has to put the snapshot in use before it asks for more, and with
 * many writes would need the next one by then, and so on for ever (etcd: releaseDelayAfterSnapshot).
 */
const KEPT_MS = 30_000

export interface SnapshotSenderDeps {
  readonly id: RaftNodeId
  readonly state: StateStorage
  readonly log: RaftLogger
  readonly send: (chunk: SnapshotChunk) => void
  readonly onFinished: (to: RaftNodeId, outcome: { index: number } | 'failed') => void
  /** The first number of a stream: differs between starts of the node. */
  readonly firstStream: number
  readonly tickMs: number
}

interface Stream {
  readonly number: number
  readonly to: RaftNodeId
  readonly term: number
  view: StateView | undefined
  chunk: SnapshotChunk | undefined
  reading: boolean
  sentTick: number
  progressTick: number
}

export class SnapshotSender {
  readonly #deps: SnapshotSenderDeps
  readonly #streams = new Map<RaftNodeId, Stream>()
  /** Who got a snapshot, of which index, and since when the log is kept for it. */
  readonly #sent = new Map<RaftNodeId, { readonly index: number; readonly sentTick: number }>()
  #nextStream: number
  #tick = 0

  constructor(deps: SnapshotSenderDeps) {
    this.#deps = deps
    this.#nextStream = deps.firstStream
  }

  /** The log after this index must be kept, for transfers that run and for who got one lately; `matchOf` says what is known to be there. */
  lowestIndex(matchOf: (id: RaftNodeId) => number): number {
    let lowest = Number.MAX_SAFE_INTEGER
    for (const { view } of this.#streams.values()) {
      lowest = Math.min(lowest, view?.meta.index ?? 0)
    }
    for (const [to, { index }] of this.#sent) {
      lowest = Math.min(lowest, Math.max(index, matchOf(to)))
    }
    return lowest
  }

  /** Begins a transfer; one that runs to the same follower ends. */
  start(to: RaftNodeId, term: number): void {
    this.#drop(to)
    const [number, now] = [this.#nextStream, this.#tick]
    this.#nextStream += 1
    const idle = { view: undefined, chunk: undefined, reading: true }
    const stream: Stream = { number, to, term, ...idle, sentTick: now, progressTick: now }
    this.#streams.set(to, stream)
    this.#deps.state.openView().then(
      (view) => this.#onView(stream, view),
      (cause) => this.#fail(stream, cause),
    )
  }

  onAck(ack: SnapshotAck): void {
    const stream = this.#streams.get(ack.from)
    if (stream === undefined || stream.number !== ack.stream || stream.chunk === undefined) return
    if (ack.refused) {
      this.#fail(stream, 'the follower has no use for it')
      return
    }
    if (stream.reading || ack.next !== stream.chunk.sequence + 1) return
    stream.progressTick = this.#tick
    if (stream.chunk.last) this.#finish(stream)
    else this.#sendNext(stream)
  }

  tick(): void {
    this.#tick += 1
    for (const stream of this.#streams.values()) {
      if (this.#msSince(stream.progressTick) >= STALLED_MS) {
        this.#fail(stream, 'the follower stopped answering')
        continue
      }
      if (stream.chunk === undefined || stream.reading) continue
      if (this.#msSince(stream.sentTick) >= RESEND_MS) this.#send(stream, stream.chunk)
    }
    for (const [to, { sentTick }] of this.#sent) {
      if (this.#msSince(sentTick) >= KEPT_MS) this.#sent.delete(to)
    }
  }

  /** Ends the transfers to those who are members no longer: the log would be kept for them. */
  keepOnly(members: readonly RaftNodeId[]): void {
    for (const to of this.#known()) if (!members.includes(to)) this.#drop(to)
  }

  /** Ends all transfers: this node leads no longer, or stops. */
  stop(): void {
    for (const to of this.#known()) this.#drop(to)
  }

  #onView(stream: Stream, view: StateView): void {
    if (this.#streams.get(stream.to) !== stream) {
      release(view)
      return
    }
    stream.view = view
    stream.reading = false
    this.#deps.log.info('sending a snapshot', { to: stream.to, index: view.meta.index })
    this.#sendChunk(stream, 0, encodeSnapshotMeta(view.meta), false)
  }

  #sendNext(stream: Stream): void {
    const { view, chunk } = stream
    if (view === undefined || chunk === undefined) return
    stream.reading = true
    view.next(CHUNK_BYTES).then(
      (entries) => {
        if (this.#streams.get(stream.to) !== stream) return
        stream.reading = false
        const payload = encodeStateEntries(entries ?? [])
        this.#sendChunk(stream, chunk.sequence + 1, payload, entries === null)
      },
      (cause) => this.#fail(stream, cause),
    )
  }

  #sendChunk(stream: Stream, sequence: number, payload: Uint8Array, last: boolean): void {
    const { to, term, number } = stream
    const checksum = checksumOf(payload)
    const body = { stream: number, sequence, last, checksum, payload }
    stream.chunk = { kind: 'snapshot-chunk', from: this.#deps.id, to, term, ...body }
    this.#send(stream, stream.chunk)
  }

  #msSince(tick: number): number {
    return (this.#tick - tick) * this.#deps.tickMs
  }

  #send(stream: Stream, chunk: SnapshotChunk): void {
    stream.sentTick = this.#tick
    this.#deps.send(chunk)
  }

  #finish(stream: Stream): void {
    const index = stream.view?.meta.index ?? 0
    this.#drop(stream.to)
    this.#sent.set(stream.to, { index, sentTick: this.#tick })
    this.#deps.onFinished(stream.to, { index })
  }

  #fail(stream: Stream, cause: unknown): void {
    if (this.#streams.get(stream.to) !== stream) return
    this.#deps.log.warn('a snapshot was not sent', { to: stream.to, cause: String(cause) })
    this.#drop(stream.to)
    this.#deps.onFinished(stream.to, 'failed')
  }

  #known(): RaftNodeId[] {
    return [...this.#streams.keys(), ...this.#sent.keys()]
  }

  #drop(to: RaftNodeId): void {
    const stream = this.#streams.get(to)
    this.#streams.delete(to)
    this.#sent.delete(to)
    if (stream?.view !== undefined) release(stream.view)
  }
}

/** Closing only frees memory; that it failed changes nothing for anyone. */
function release(view: StateView): void {
  view.close().catch(() => {})
}
