import type { SwarmctlError } from '../api/errors.ts'
import { encodeError } from './codec.ts'
import type { Outbox } from './outbox.ts'
import { StreamEnd } from './stream-end.ts'
import { type Frame, STREAM_WINDOW_BYTES, STREAMS_MAX } from './wire.ts'

/** The open streams of a connection, of both sides. */
export class StreamTable {
  readonly #outbox: Outbox
  readonly #schedule: () => void
  readonly #onRelease: (id: number) => void
  readonly #streams = new Map<number, StreamEnd>()
  /** How many have even and odd ids: that is, by side that opened them. */
  readonly #counts: [number, number] = [0, 0]

  /** `schedule` is called after each push into the outbox, `onRelease` when a stream is over, whoever ended it. */
  constructor(outbox: Outbox, schedule: () => void, onRelease: (id: number) => void) {
    this.#outbox = outbox
    this.#schedule = schedule
    this.#onRelease = onRelease
  }

  has(id: number): boolean {
    return this.#streams.has(id)
  }

  /** Whether the side with ids of this parity has no stream left to open. */
  isFull(parity: number): boolean {
    return this.#counts[parity === 0 ? 0 : 1] >= STREAMS_MAX
  }

  open(id: number): StreamEnd {
    const stream = new StreamEnd({
      pushData: (bytes) => this.#push(id, 'data', bytes),
      pushEnd: () => this.#push(id, 'end', EMPTY),
      pushAbort: (error) => this.#pushAbort(id, error),
      pushCredit: (bytes) => this.#pushCredit(id, bytes),
      queuedBytes: () => this.#outbox.queuedBytesOf(id),
      release: () => this.#release(id),
    })
    this.#streams.set(id, stream)
    this.#counts[id % 2 === 0 ? 0 : 1] += 1
    this.#outbox.openWindow(id, STREAM_WINDOW_BYTES, (queuedBytes, isEmpty) =>
      stream.drained(queuedBytes, isEmpty),
    )
    return stream
  }

  data(frame: Frame, message: Buffer | undefined): void {
    this.#streams.get(frame.id)?.receive(frame.payload.length, message)
  }

  end(id: number): void {
    this.#streams.get(id)?.receiveEnd()
  }

  abort(id: number, error: SwarmctlError): void {
    this.#streams.get(id)?.fail(error)
  }

  failAll(error: SwarmctlError): void {
    for (const stream of [...this.#streams.values()]) stream.fail(error)
  }

  #push(id: number, kind: 'data' | 'end', bytes: Uint8Array): void {
    this.#outbox.push(id, kind, id, bytes)
    this.#schedule()
  }

  #pushAbort(id: number, error: SwarmctlError): void {
    this.#outbox.drop(id)
    this.#outbox.pushControl('abort', id, encodeError(error))
    this.#schedule()
  }

  #pushCredit(id: number, bytes: number): void {
    const payload = Buffer.allocUnsafe(4)
    payload.writeUInt32BE(bytes)
    this.#outbox.pushControl('credit', id, payload)
    this.#schedule()
  }

  #release(id: number): void {
    if (this.#streams.delete(id)) this.#counts[id % 2 === 0 ? 0 : 1] -= 1
    this.#outbox.drop(id)
    this.#onRelease(id)
  }
}

const EMPTY = new Uint8Array(0)
