import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Clock } from '../api/clock.ts'
import { type SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { formatHostPort } from './address.ts'
import { Assembler } from './assembler.ts'
import { decodeMessage, encodeCall, encodeError, errorFrom } from './codec.ts'
import type { PeerIdentity, RequestOptions, RpcConnection, RpcStream } from './connection.ts'
import { FrameSender } from './frame-sender.ts'
import type { RpcHandlers } from './handlers.ts'
import { Liveness } from './liveness.ts'
import { NOTIFY_CHANNEL, Outbox } from './outbox.ts'
import { aborted, PendingRequests } from './pending-requests.ts'
import { ServedCalls } from './served-calls.ts'
import { StreamTable } from './stream-table.ts'
import {
  ANONYMOUS_MESSAGE_BYTES_MAX,
  ANONYMOUS_QUEUE_BYTES_MAX,
  ANONYMOUS_REQUESTS_MAX,
  ASSEMBLY_BYTES_MAX,
  decodeBatch,
  decodeFrame,
  type Frame,
  MESSAGE_BYTES_MAX,
  NOTIFY_QUEUE_BYTES_MAX,
  REQUEST_QUEUE_BYTES_MAX,
  REQUESTS_MAX,
} from './wire.ts'

/** After a close the peer gets this long to answer it, in milliseconds. */
const CLOSE_TIMEOUT_MS = 1000
/** RFC 6455 §5.5: a close reason has at most 123 bytes. */
const CLOSE_REASON_BYTES_MAX = 123
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002

export interface PeerConnectionDeps {
  handlers: RpcHandlers
  log: Log
  clock: Clock
}

export interface PeerConnectionOptions {
  webSocket: WebSocket
  /** The socket below it. */
  socket: Duplex
  peer: PeerIdentity | null
  /** Whether the other end was let in without a certificate and gets little room. */
  isAnonymousClient: boolean
  /** Whether this side connected: it makes the odd ids. */
  isInitiator: boolean
  remoteIp: string
  remotePort: number
  /** Asked once a second (`PING_PERIOD_MS`); a line says why the connection has to end (certificate expired, node removed). */
  mayStay?: () => string | undefined
}

/** A connection: requests, notifies and streams multiplexed over one WebSocket. Made by `connect` and by the server. */
export class PeerConnection implements RpcConnection {
  readonly peer: PeerIdentity | null
  readonly remoteAddress: string
  readonly #webSocket: WebSocket
  readonly #clock: Clock
  readonly #outbox = new Outbox()
  readonly #sender: FrameSender
  readonly #assembler: Assembler
  readonly #liveness: Liveness
  readonly #pending: PendingRequests
  readonly #served: ServedCalls
  readonly #streams: StreamTable
  readonly #peerIdParity: number
  readonly #answersBytesMax: number
  readonly #closeListeners: ((reason: string) => void)[] = []
  #nextId: number
  #closeReason: string | undefined

  constructor(deps: PeerConnectionDeps, options: PeerConnectionOptions) {
    this.peer = options.peer
    this.remoteAddress = formatHostPort({ host: options.remoteIp, port: options.remotePort })
    this.#webSocket = options.webSocket
    this.#clock = deps.clock
    this.#nextId = options.isInitiator ? 1 : 2
    this.#peerIdParity = options.isInitiator ? 0 : 1
    const small = options.isAnonymousClient
    this.#answersBytesMax = small ? ANONYMOUS_QUEUE_BYTES_MAX : REQUEST_QUEUE_BYTES_MAX
    this.#sender = new FrameSender(this.#outbox, options.webSocket, options.socket, (reason) =>
      this.#break(reason),
    )
    this.#assembler = new Assembler({
      messageBytesMax: small ? ANONYMOUS_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
      totalBytesMax: small ? ANONYMOUS_MESSAGE_BYTES_MAX : ASSEMBLY_BYTES_MAX,
    })
    this.#liveness = new Liveness(deps.clock, {
      onPeriod: () => this.#endIfUnwelcome(options.mayStay),
      ping: () => this.#ping(),
      onDead: (reason) => this.#break(reason),
    })
    this.#pending = new PendingRequests(deps.clock)
    this.#streams = new StreamTable(
      this.#outbox,
      () => this.#sender.schedule(),
      // What was received of a message whose rest nobody takes any more.
      (id) => this.#assembler.drop('data', id),
    )
    this.#served = new ServedCalls(deps.handlers, deps.log, {
      connection: this,
      peer: options.peer,
      remoteAddress: options.remoteIp,
      requestsMax: small ? ANONYMOUS_REQUESTS_MAX : REQUESTS_MAX,
      answer: (id, kind, bytes) => this.#answer(id, kind, bytes),
    })
    this.#listen()
    this.#liveness.start()
  }

  get isOpen(): boolean {
    return this.#closeReason === undefined
  }

  async request(method: string, body: unknown, options: RequestOptions = {}): Promise<unknown> {
    if (this.#closeReason !== undefined) throw this.#lost(this.#closeReason)
    if (options.signal?.aborted) throw aborted(method, options.signal.reason)
    this.#pending.checkRoom()
    const bytes = encodeCall({ method, body })
    if (this.#outbox.queuedBytes + bytes.length > REQUEST_QUEUE_BYTES_MAX) {
      throw unavailable(`too much waits to be sent to ${this.remoteAddress}`)
    }
    const id = this.#takeId()
    this.#outbox.push(id, 'request', id, bytes)
    this.#sender.schedule()
    return this.#pending.wait(id, method, options, () => this.#cancelRequest(id))
  }

  openStream(method: string, body: unknown): RpcStream {
    const id = this.#takeId()
    const stream = this.#streams.open(id)
    if (this.#closeReason !== undefined) {
      stream.fail(this.#lost(this.#closeReason))
      return stream
    }
    if (this.#streams.isFull(this.#peerIdParity === 0 ? 1 : 0)) {
      stream.fail(unavailable(`too many streams to ${this.remoteAddress} are open`))
      return stream
    }
    try {
      this.#outbox.push(id, 'open', id, encodeCall({ method, body }))
      this.#sender.schedule()
    } catch (error) {
      stream.fail(toSwarmctlError(error))
    }
    return stream
  }

  notify(method: string, body: unknown, options?: { now: boolean }): boolean {
    if (this.#closeReason !== undefined) return false
    const bytes = encodeCall({ method, body })
    const queuedBytes = this.#outbox.queuedBytesOf(NOTIFY_CHANNEL)
    if (queuedBytes + bytes.length > NOTIFY_QUEUE_BYTES_MAX) return false
    this.#outbox.push(NOTIFY_CHANNEL, 'notify', NOTIFY_CHANNEL, bytes)
    if (options?.now) this.#sender.flush()
    else this.#sender.schedule()
    return true
  }

  onClose(run: (reason: string) => void): void {
    if (this.#closeReason === undefined) this.#closeListeners.push(run)
    else run(this.#closeReason)
  }

  /** Whether the peer waits for an answer of this node. */
  get isServing(): boolean {
    return this.#served.isBusy
  }

  close(reason = 'closed by this node'): void {
    this.#shut(CLOSE_NORMAL, reason)
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId += 2
    return id
  }

  #cancelRequest(id: number): void {
    this.#outbox.drop(id)
    this.#assembler.drop('response', id)
    this.#assembler.drop('failure', id)
    this.#outbox.pushControl('cancel', id)
    this.#sender.schedule()
  }

  #answer(id: number, kind: 'response' | 'failure', bytes: Uint8Array): void {
    if (this.#closeReason !== undefined) return
    if (this.#outbox.queuedBytes > this.#answersBytesMax) {
      this.#break('the peer asks but does not read')
      return
    }
    this.#outbox.push(id, kind, id, bytes)
    this.#sender.schedule()
  }

  #endIfUnwelcome(mayStay: (() => string | undefined) | undefined): void {
    const reason = mayStay?.()
    if (reason !== undefined) this.#shut(CLOSE_NORMAL, reason)
  }

  #ping(): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping()
  }

  #listen(): void {
    const webSocket = this.#webSocket
    const seen = (): void => this.#liveness.seen()
    webSocket.on('ping', seen)
    webSocket.on('pong', seen)
    webSocket.on('message', (data) => this.#onMessage(data as Buffer))
    webSocket.on('error', (error) => this.#break(error.message))
    webSocket.on('close', (_code, reason) => {
      this.#finish(reason.length > 0 ? reason.toString() : 'closed by the peer')
    })
  }

  #onMessage(data: Buffer): void {
    this.#liveness.seen()
    if (this.#closeReason !== undefined) return
    try {
      this.#onFrame(decodeFrame(data))
    } catch (error) {
      this.#shut(CLOSE_PROTOCOL_ERROR, toSwarmctlError(error).message)
    }
  }

  #onFrame(frame: Frame): void {
    switch (frame.kind) {
      case 'batch':
        return this.#onBatch(frame.payload)
      case 'request':
        return this.#onRequest(frame)
      case 'response':
        if (!this.#pending.has(frame.id)) return
        return this.#withMessage(frame, (bytes) =>
          this.#pending.resolve(frame.id, decodeMessage(bytes)),
        )
      case 'failure':
        if (!this.#pending.has(frame.id)) return
        return this.#withMessage(frame, (bytes) =>
          this.#pending.reject(frame.id, errorFrom(decodeMessage(bytes))),
        )
      case 'cancel':
        this.#assembler.drop('request', frame.id)
        this.#outbox.drop(frame.id)
        return this.#served.cancel(frame.id)
      case 'notify':
        return this.#withMessage(frame, (bytes) => this.#served.notify(bytes))
      case 'open':
        return this.#onOpen(frame)
      case 'data':
        if (!this.#streams.has(frame.id)) return
        return this.#streams.data(frame, this.#assembler.add(frame))
      case 'end':
        return this.#streams.end(frame.id)
      case 'abort':
        this.#assembler.drop('open', frame.id)
        return this.#streams.abort(frame.id, errorFrom(decodeMessage(frame.payload)))
      case 'credit':
        this.#outbox.addCredit(frame.id, frame.payload.readUInt32BE(0))
        return this.#sender.schedule()
      default:
        return frame.kind satisfies never
    }
  }

  #onBatch(payload: Buffer): void {
    for (const frame of decodeBatch(payload)) {
      // One of them may have ended the connection.
      if (this.#closeReason === undefined) this.#onFrame(frame)
    }
  }

  #withMessage(frame: Frame, run: (bytes: Buffer) => void): void {
    const bytes = this.#assembler.add(frame)
    if (bytes) run(bytes)
  }

  #onRequest(frame: Frame): void {
    this.#checkId(frame.id)
    this.#withMessage(frame, (bytes) => this.#served.request(frame.id, bytes))
  }

  #onOpen(frame: Frame): void {
    this.#checkId(frame.id)
    this.#withMessage(frame, (bytes) => {
      if (!this.peer || this.#streams.isFull(this.#peerIdParity)) {
        const error = unavailable('this node takes no more streams of this peer')
        this.#outbox.pushControl('abort', frame.id, encodeError(error))
        this.#sender.schedule()
        return
      }
      this.#served.stream(frame.id, bytes, this.#streams.open(frame.id))
    })
  }

  #checkId(id: number): void {
    const isFree = !this.#served.has(id) && !this.#streams.has(id)
    if (id > 0 && id % 2 === this.#peerIdParity && isFree) return
    throw toSwarmctlError(new Error('the peer used an id that is not free'))
  }

  /** Ends the connection without waiting for the peer. */
  #break(reason: string): void {
    this.#webSocket.terminate()
    this.#finish(reason)
  }

  /** Ends the connection and tells the peer why. */
  #shut(code: number, reason: string): void {
    const webSocket = this.#webSocket
    const bytes = reason.replace(/[^ -~]/g, '?').slice(0, CLOSE_REASON_BYTES_MAX)
    const cancel = this.#clock.schedule(CLOSE_TIMEOUT_MS, () => webSocket.terminate())
    webSocket.once('close', cancel)
    webSocket.close(code, bytes)
    this.#finish(reason)
  }

  #finish(reason: string): void {
    if (this.#closeReason !== undefined) return
    this.#closeReason = reason
    this.#liveness.stop()
    const error = this.#lost(reason)
    this.#pending.rejectAll(error)
    this.#streams.failAll(error)
    this.#served.close(error)
    for (const run of this.#closeListeners.splice(0)) run(reason)
  }

  #lost(reason: string): SwarmctlError {
    return unavailable(`the connection to ${this.remoteAddress} is lost: ${reason}`)
  }
}
