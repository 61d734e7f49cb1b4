import assert from 'node:assert/strict'
import { SwarmctlError } from '../api/errors.ts'
import type { CallContext, PeerIdentity, RpcStream } from './connection.ts'

/** Who may call a method. Without options: every node of the cluster. */
export interface MethodOptions {
  /** Also peers without a certificate. */
  anonymous?: boolean
  roles?: readonly ('worker' | 'manager')[]
  /** The handler itself knows whom to believe: the role in the certificate is enough to reach it. */
  trustsCertificate?: boolean
}

type Role = PeerIdentity['role']

export type RequestHandler = (body: unknown, context: CallContext) => Promise<unknown>
export type StreamHandler = (
  body: unknown,
  stream: RpcStream,
  context: CallContext,
) => Promise<void>
export type NotifyHandler = (body: unknown, context: CallContext) => void

type Method =
  | { kind: 'request'; handler: RequestHandler; options: MethodOptions }
  | { kind: 'stream'; handler: StreamHandler; options: MethodOptions }
  | { kind: 'notify'; handler: NotifyHandler; options: MethodOptions }

/**
 * The methods that an end of a connection serves. Shared by all connections of a node, and changeable while they are open
 * (a node becomes a manager): every registration returns what takes it back.
 */
export class RpcHandlers {
  readonly #methods = new Map<string, Method>()
  readonly #roleOf: (peer: PeerIdentity) => Role

  /** `roleOf`: the role that a peer has now, which may be less than its certificate says: that is valid for long. */
  constructor(options: { roleOf?: (peer: PeerIdentity) => Role } = {}) {
    this.#roleOf = options.roleOf ?? ((peer) => peer.role)
  }

  /** The role that a peer has now. */
  roleOf(peer: PeerIdentity): Role {
    return this.#roleOf(peer)
  }

  /** The handler's answer goes back to the caller, or the SwarmctlError that it throws. */
  onRequest(name: string, handler: RequestHandler, options: MethodOptions = {}): () => void {
    return this.#add(name, { kind: 'request', handler, options })
  }

  /** When the handler is done this side of the stream ends; when it throws the stream is aborted with the error. */
  onStream(name: string, handler: StreamHandler, options: MethodOptions = {}): () => void {
    return this.#add(name, { kind: 'stream', handler, options })
  }

  /** Called in the order of arrival; must not throw for what a peer can send. */
  onNotify(name: string, handler: NotifyHandler, options: MethodOptions = {}): () => void {
    return this.#add(name, { kind: 'notify', handler, options })
  }

  /** The method that a peer may call. Throws PERMISSION_DENIED or UNAVAILABLE. */
  find<K extends Method['kind']>(
    kind: K,
    name: string,
    peer: PeerIdentity | null,
  ): Extract<Method, { kind: K }> {
    const method = this.#methods.get(name)
    // A stranger learns nothing of what is served.
    if (!peer && !method?.options.anonymous) {
      throw new SwarmctlError('PERMISSION_DENIED', `${name} needs a certificate of the cluster`)
    }
    if (method?.kind !== kind) {
      throw new SwarmctlError('UNAVAILABLE', `${name} is not served by this node`)
    }
    const { roles, trustsCertificate } = method.options
    if (!peer || !roles) return method as Extract<Method, { kind: K }>
    const role = trustsCertificate ? peer.role : this.#roleOf(peer)
    if (!roles.includes(role)) {
      throw new SwarmctlError('PERMISSION_DENIED', `${name} may not be called by a ${role}`)
    }
    return method as Extract<Method, { kind: K }>
  }

  #add(name: string, method: Method): () => void {
    assert(!this.#methods.has(name), `${name} has a handler already`)
    this.#methods.set(name, method)
    return () => {
      if (this.#methods.get(name) === method) this.#methods.delete(name)
    }
  }
}
