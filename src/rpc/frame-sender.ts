import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Outbox } from './outbox.ts'
import {
  BATCH_LENGTH_BYTES,
  BATCH_SUBPROTOCOL,
  CONTROL_FRAMES_MAX,
  encodeBatch,
  FRAME_BYTES_MAX,
  HEADER_BYTES,
  SOCKET_HIGH_WATER_BYTES,
} from './wire.ts'

/**
 * Moves frames from the outbox to the socket, as long as the socket holds little: what waits, waits in the outbox, where a
 * heartbeat can still overtake it. All frames of one turn of the event loop go out in one write, but for those that are flushed.
 */
export class FrameSender {
  readonly #outbox: Outbox
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  readonly #onOverload: (reason: string) => void
  #isScheduled = false

  /** `socket` is the one below `webSocket`; `onOverload` is told that the peer takes nothing. */
  constructor(
    outbox: Outbox,
    webSocket: WebSocket,
    socket: Duplex,
    onOverload: (reason: string) => void,
  ) {
    this.#outbox = outbox
    this.#webSocket = webSocket
    this.#socket = socket
    this.#onOverload = onOverload
  }

  /** To be called after each push. */
  schedule(): void {
    if (this.#outbox.controlCount > CONTROL_FRAMES_MAX) {
      this.#onOverload('the peer sends but does not read')
      return
    }
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  /** Sends what waits now and not at the end of this turn: its receiver works while this node goes on. */
  flush(): void {
    if (!this.#outbox.isWaiting || this.#webSocket.readyState !== this.#webSocket.OPEN) return
    const canBatch = this.#webSocket.protocol === BATCH_SUBPROTOCOL
    this.#socket.cork()
    let waiting: Buffer[] = []
    let bytes = HEADER_BYTES
    while (this.#webSocket.bufferedAmount + bytes < SOCKET_HIGH_WATER_BYTES) {
      const frame = this.#outbox.next()
      if (!frame) break
      const size = BATCH_LENGTH_BYTES + frame.length
      if (waiting.length > 0 && (!canBatch || bytes + size > FRAME_BYTES_MAX)) {
        this.#send(waiting)
        waiting = []
        bytes = HEADER_BYTES
      }
      waiting.push(frame)
      bytes += size
    }
    this.#send(waiting)
    this.#socket.uncork()
  }

  /** Many small frames as one message: what a message costs besides its bytes is more than a small frame itself. */
  #send(frames: readonly Buffer[]): void {
    const [first] = frames
    if (first === undefined) return
    const message = frames.length === 1 ? first : encodeBatch(frames)
    this.#webSocket.send(message, { binary: true, compress: false }, this.#onSent)
  }

  /** A failed write also closes the socket, which the connection hears of. */
  readonly #onSent = (error?: Error | null): void => {
    if (!error && this.#outbox.isWaiting) this.schedule()
  }
}
