import type { SwarmctlError } from '../api/errors.ts'
import type { CallContext, PeerIdentity, RpcConnection } from './connection.ts'

/** A peer's call that runs here. Its signal is made when somebody asks for it: most calls are over before anybody does. */
export class RunningCall implements CallContext {
  readonly peer: PeerIdentity | null
  readonly connection: RpcConnection
  readonly remoteAddress: string
  #controller: AbortController | undefined
  #reason: SwarmctlError | undefined

  constructor(caller: Omit<CallContext, 'signal'>) {
    this.peer = caller.peer
    this.connection = caller.connection
    this.remoteAddress = caller.remoteAddress
  }

  /** Whether nobody waits for its answer any more. */
  get isGivenUp(): boolean {
    return this.#reason !== undefined
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  giveUp(reason: SwarmctlError): void {
    this.#reason ??= reason
    this.#controller?.abort(reason)
  }
}
