import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import { decodeMessage, encodeMessage } from './codec.ts'
import type { RpcStream } from './connection.ts'
import { STREAM_SEND_BYTES_MAX, STREAM_SEND_HIGH_WATER_BYTES, STREAM_WINDOW_BYTES } from './wire.ts'

/** What a stream needs of its connection. */
export interface StreamTransport {
  pushData(bytes: Uint8Array): void
  pushEnd(): void
  pushAbort(error: SwarmctlError): void
  pushCredit(bytes: number): void
  queuedBytes(): number
  /** The stream is over: forget it. */
  release(): void
}

interface Unread {
  bytes: Buffer
  /** What the sender gets back when this is read. */
  credit: number
}

/** This side of a stream: queue to send in the connection's outbox, received messages here, bounded by the window. */
export class StreamEnd implements RpcStream {
  readonly closed: Promise<void>
  readonly #transport: StreamTransport
  readonly #unread: Unread[] = []
  readonly #senders: { resolve: () => void; reject: (error: Error) => void }[] = []
  #resolveClosed!: () => void
  #wakeReader: (() => void) | undefined
  #error: SwarmctlError | undefined
  #localEnded = false
  #isEndSent = false
  #peerEnded = false
  #discards = false
  #hasReader = false
  #hasReadAll = false
  #isReleased = false
  /** Bytes that the peer may still send. */
  #windowBytes = STREAM_WINDOW_BYTES
  /** Bytes that may be given back but were not announced yet. */
  #grantBytes = 0
  /** Received bytes of a message that is not complete, not given back yet. */
  #partialBytes = 0

  constructor(transport: StreamTransport) {
    this.#transport = transport
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  async send(message: unknown): Promise<void> {
    if (this.#error) throw this.#error
    if (this.#localEnded) throw unavailable('this stream has been ended')
    const bytes = encodeMessage(message)
    if (this.#transport.queuedBytes() + bytes.length > STREAM_SEND_BYTES_MAX) {
      const error = unavailable('a stream was fed faster than its peer reads')
      this.abort(error)
      throw error
    }
    this.#transport.pushData(bytes)
    if (this.#transport.queuedBytes() <= STREAM_SEND_HIGH_WATER_BYTES) return
    await new Promise<void>((resolve, reject) => {
      this.#senders.push({ resolve, reject })
    })
  }

  messages(): AsyncIterable<unknown> {
    this.#hasReader = true
    return this.#read()
  }

  end(): void {
    if (this.#localEnded || this.#error) return
    this.#localEnded = true
    this.#transport.pushEnd()
  }

  abort(error?: Error): void {
    if (this.#error || this.#isReleased) return
    const reason = error ? toSwarmctlError(error) : unavailable('the stream was aborted')
    this.#transport.pushAbort(reason)
    this.#unread.length = 0
    this.fail(reason)
  }

  /** Reads and forgets what still arrives: the handler is done. */
  discard(): void {
    this.#discards = true
    while (this.#take());
    this.#releaseWhenOver()
  }

  /** The stream broke: by the peer or with the connection. What arrived before can still be read. */
  fail(error: SwarmctlError): void {
    if (this.#error || this.#isReleased) return
    this.#error = error
    for (const sender of this.#senders.splice(0)) sender.reject(error)
    this.#release()
  }

  /** One received chunk; `message` with the last one of a message. Throws INVALID_ARGUMENT when the peer ignores the window. */
  receive(chunkBytes: number, message: Buffer | undefined): void {
    this.#windowBytes -= chunkBytes
    if (this.#windowBytes < 0 || this.#peerEnded) {
      throw new SwarmctlError('INVALID_ARGUMENT', 'the peer sent more than a stream allows')
    }
    this.#partialBytes += chunkBytes
    if (message) {
      this.#unread.push({ bytes: message, credit: this.#partialBytes })
      this.#partialBytes = 0
      if (this.#discards) this.discard()
      else this.#wake()
    } else if (this.#unread.length === 0) {
      this.#grantPartial()
    }
  }

  /** The peer sends no more. */
  receiveEnd(): void {
    this.#peerEnded = true
    this.#wake()
    this.#releaseWhenOver()
  }

  /** Some of the queue went out. */
  drained(queuedBytes: number, isEmpty: boolean): void {
    if (queuedBytes <= STREAM_SEND_HIGH_WATER_BYTES) {
      for (const sender of this.#senders.splice(0)) sender.resolve()
    }
    if (isEmpty && this.#localEnded) this.#isEndSent = true
    this.#releaseWhenOver()
  }

  async *#read(): AsyncGenerator<unknown, void, void> {
    try {
      for (;;) {
        for (let unread = this.#take(); unread; unread = this.#take()) {
          yield decodeMessage(unread.bytes)
        }
        if (this.#error) throw this.#error
        if (this.#peerEnded) {
          this.#hasReadAll = true
          this.#releaseWhenOver()
          return
        }
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve
        })
      }
    } finally {
      if (this.#peerEnded) this.discard()
      else this.abort(unavailable('the reader of the stream left'))
    }
  }

  #take(): Unread | undefined {
    const unread = this.#unread.shift()
    if (!unread) return undefined
    this.#grant(unread.credit)
    // A message larger than the window can only become complete when its first part is given back.
    if (this.#unread.length === 0) this.#grantPartial()
    return unread
  }

  #grantPartial(): void {
    this.#grant(this.#partialBytes)
    this.#partialBytes = 0
  }

  #grant(bytes: number): void {
    this.#windowBytes += bytes
    this.#grantBytes += bytes
    // Half a window at a time: few frames, and the sender never waits for an announcement that does not come.
    if (this.#grantBytes < STREAM_WINDOW_BYTES / 2 || this.#isReleased || this.#peerEnded) return
    this.#transport.pushCredit(this.#grantBytes)
    this.#grantBytes = 0
  }

  #wake(): void {
    this.#wakeReader?.()
    this.#wakeReader = undefined
  }

  #releaseWhenOver(): void {
    if (!this.#isEndSent || !this.#peerEnded) return
    // Who reads is to have everything before `closed` tells that it is over.
    const isRead =
      this.#discards || (this.#hasReader ? this.#hasReadAll : this.#unread.length === 0)
    if (isRead) this.#release()
  }

  #release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#transport.release()
    this.#wake()
    this.#resolveClosed()
  }
}
