import { type SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { decodeCall, encodeError, encodeMessage } from './codec.ts'
import type { CallContext } from './connection.ts'
import type { RpcHandlers } from './handlers.ts'
import { RunningCall } from './running-call.ts'
import type { StreamEnd } from './stream-end.ts'

/** What serving needs of the connection. */
export interface ServedConnection extends Omit<CallContext, 'signal'> {
  requestsMax: number
  answer(id: number, kind: 'response' | 'failure', bytes: Uint8Array): void
}

/** The peer's calls that run here. */
export class ServedCalls {
  readonly #handlers: RpcHandlers
  readonly #log: Log
  readonly #served: ServedConnection
  readonly #running = new Map<number, RunningCall>()
  /** Calls that were given up and whose handler has not ended: they count until it has. */
  readonly #givenUp = new Set<RunningCall>()
  /** For notifies: they have nobody who could give up. */
  readonly #closing: RunningCall

  constructor(handlers: RpcHandlers, log: Log, served: ServedConnection) {
    this.#handlers = handlers
    this.#log = log
    this.#served = served
    this.#closing = new RunningCall(served)
  }

  has(id: number): boolean {
    return this.#running.has(id)
  }

  /** Whether the peer waits for an answer. */
  get isBusy(): boolean {
    return this.#running.size > 0
  }

  request(id: number, bytes: Uint8Array): void {
    if (this.#running.size + this.#givenUp.size >= this.#served.requestsMax) {
      const error = unavailable('this node serves too many requests of this peer already')
      this.#served.answer(id, 'failure', encodeError(error))
      return
    }
    const call = new RunningCall(this.#served)
    this.#running.set(id, call)
    // Not rejecting: what fails is the answer.
    void this.#serveRequest(id, bytes, call)
  }

  stream(id: number, bytes: Uint8Array, stream: StreamEnd): void {
    const call = new RunningCall(this.#served)
    this.#running.set(id, call)
    void stream.closed.then(() => {
      this.#running.delete(id)
      call.giveUp(unavailable('the stream is over'))
    })
    void this.#serveStream(bytes, stream, call)
  }

  notify(bytes: Uint8Array): void {
    const { method, body } = decodeCall(bytes)
    try {
      const found = this.#handlers.find('notify', method, this.#served.peer)
      found.handler(body, this.#closing)
    } catch (error) {
      // A notify has no answer; the connection is not worth less for it.
      this.#log.debug({ method, code: toSwarmctlError(error).code }, 'a notify was not taken')
    }
  }

  /** The caller gave up. */
  cancel(id: number): void {
    const call = this.#running.get(id)
    if (call === undefined) return
    this.#running.delete(id)
    this.#givenUp.add(call)
    call.giveUp(unavailable('the caller gave up'))
  }

  /** The connection is lost. */
  close(error: SwarmctlError): void {
    for (const call of this.#running.values()) call.giveUp(error)
    this.#running.clear()
    this.#closing.giveUp(error)
  }

  async #serveRequest(id: number, bytes: Uint8Array, running: RunningCall): Promise<void> {
    let kind: 'response' | 'failure' = 'response'
    let answer: Buffer
    try {
      const { method, body } = decodeCall(bytes)
      const found = this.#handlers.find('request', method, this.#served.peer)
      answer = encodeMessage(await found.handler(body, running))
    } catch (thrown) {
      this.#logInternal(thrown)
      kind = 'failure'
      answer = encodeError(thrown)
    }
    this.#givenUp.delete(running)
    if (running.isGivenUp) return
    this.#running.delete(id)
    this.#served.answer(id, kind, answer)
  }

  async #serveStream(bytes: Uint8Array, stream: StreamEnd, running: RunningCall): Promise<void> {
    try {
      const { method, body } = decodeCall(bytes)
      const found = this.#handlers.find('stream', method, this.#served.peer)
      await found.handler(body, stream, running)
      stream.end()
      stream.discard()
    } catch (thrown) {
      this.#logInternal(thrown)
      stream.abort(toSwarmctlError(thrown))
    }
    this.#givenUp.delete(running)
  }

  /** The caller only gets the line; what should not happen is kept here with its stack. */
  #logInternal(thrown: unknown): void {
    const error = toSwarmctlError(thrown)
    if (error.code !== 'INTERNAL') return
    this.#log.error({ err: thrown, peer: this.#served.peer?.nodeId }, 'an rpc handler failed')
  }
}
