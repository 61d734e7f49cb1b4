import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Outbox } from './outbox.ts'
import { CONTROL_FRAMES_MAX, SOCKET_HIGH_WATER_BYTES } from './wire.ts'

/**
 * Moves frames from the outbox to the socket, as long as the socket holds little: what waits, waits in the outbox, where a
 * heartbeat can still overtake it. All frames of one turn of the event loop go out in one write.
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
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#socket.cork()
    while (this.#webSocket.bufferedAmount < SOCKET_HIGH_WATER_BYTES) {
      const frame = this.#outbox.next()
      if (!frame) break
      this.#webSocket.send(frame, { binary: true, compress: false }, this.#onSent)
    }
    this.#socket.uncork()
  }

  /** A failed write also closes the socket, which the connection hears of. */
  readonly #onSent = (error?: Error | null): void => {
    if (!error) this.schedule()
  }
}
