import { type SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { decodeCall, encodeError, encodeMessage } from './codec.ts'
import type { CallContext, PeerIdentity, RpcConnection } from './connection.ts'
import type { RpcHandlers } from './handlers.ts'
import type { StreamEnd } from './stream-end.ts'

/** What serving needs of the connection. */
export interface ServedConnection {
  connection: RpcConnection
  peer: PeerIdentity | null
  /** IP without port. */
  remoteIp: string
  requestsMax: number
  answer(id: number, kind: 'response' | 'failure', bytes: Uint8Array): void
}

/** The peer's calls that run here. */
export class ServedCalls {
  readonly #handlers: RpcHandlers
  readonly #log: Log
  readonly #served: ServedConnection
  readonly #running = new Map<number, AbortController>()
  /** Calls that were given up and whose handler has not ended: they count until it has. */
  readonly #givenUp = new Set<AbortSignal>()
  /** For notifies: they have nobody who could give up. */
  readonly #closing = new AbortController()

  constructor(handlers: RpcHandlers, log: Log, served: ServedConnection) {
    this.#handlers = handlers
    this.#log = log
    this.#served = served
  }

  has(id: number): boolean {
    return this.#running.has(id)
  }

  request(id: number, bytes: Uint8Array): void {
    if (this.#running.size + this.#givenUp.size >= this.#served.requestsMax) {
      const error = unavailable('this node serves too many requests of this peer already')
      this.#served.answer(id, 'failure', encodeError(error))
      return
    }
    const controller = new AbortController()
    this.#running.set(id, controller)
    // Not rejecting: what fails is the answer.
    void this.#serveRequest(id, bytes, controller.signal).finally(() =>
      this.#givenUp.delete(controller.signal),
    )
  }

  stream(id: number, bytes: Uint8Array, stream: StreamEnd): void {
    const controller = new AbortController()
    this.#running.set(id, controller)
    void stream.closed.then(() => {
      this.#running.delete(id)
      controller.abort(unavailable('the stream is over'))
    })
    void this.#serveStream(bytes, stream, controller.signal).finally(() =>
      this.#givenUp.delete(controller.signal),
    )
  }

  notify(bytes: Uint8Array): void {
    const { method, body } = decodeCall(bytes)
    try {
      const found = this.#handlers.find('notify', method, this.#served.peer)
      found.handler(body, this.#context(this.#closing.signal))
    } catch (error) {
      // A notify has no answer; the connection is not worth less for it.
      this.#log.debug({ method, code: toSwarmctlError(error).code }, 'a notify was not taken')
    }
  }

  /** The caller gave up. */
  cancel(id: number): void {
    const controller = this.#running.get(id)
    if (controller === undefined) return
    this.#running.delete(id)
    this.#givenUp.add(controller.signal)
    controller.abort(unavailable('the caller gave up'))
  }

  /** The connection is lost. */
  close(error: SwarmctlError): void {
    for (const controller of this.#running.values()) controller.abort(error)
    this.#running.clear()
    this.#closing.abort(error)
  }

  async #serveRequest(id: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    let kind: 'response' | 'failure' = 'response'
    let answer: Buffer
    try {
      const { method, body } = decodeCall(bytes)
      const found = this.#handlers.find('request', method, this.#served.peer)
      answer = encodeMessage(await found.handler(body, this.#context(signal)))
    } catch (thrown) {
      this.#logInternal(thrown)
      kind = 'failure'
      answer = encodeError(thrown)
    }
    if (signal.aborted) return
    this.#running.delete(id)
    this.#served.answer(id, kind, answer)
  }

  async #serveStream(bytes: Uint8Array, stream: StreamEnd, signal: AbortSignal): Promise<void> {
    try {
      const { method, body } = decodeCall(bytes)
      const found = this.#handlers.find('stream', method, this.#served.peer)
      await found.handler(body, stream, this.#context(signal))
      stream.end()
      stream.discard()
    } catch (thrown) {
      this.#logInternal(thrown)
      stream.abort(toSwarmctlError(thrown))
    }
  }

  /** The caller only gets the line; what should not happen is kept here with its stack. */
  #logInternal(thrown: unknown): void {
    const error = toSwarmctlError(thrown)
    if (error.code !== 'INTERNAL') return
    this.#log.error({ err: thrown, peer: this.#served.peer?.nodeId }, 'an rpc handler failed')
  }

  #context(signal: AbortSignal): CallContext {
    const { peer, connection, remoteIp } = this.#served
    return { peer, connection, remoteAddress: remoteIp, signal }
  }
}
