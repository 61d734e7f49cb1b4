import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { type ErrorCode, SwarmctlError, unavailable } from '../api/errors.ts'
import { parseHostPort, plainIp } from './address.ts'
import type { PeerIdentity } from './connection.ts'
import { judgeClient, type PeerVerdict } from './peer-certificate.ts'
import { PeerConnection, type PeerConnectionDeps } from './peer-connection.ts'
import type { TlsCredentials } from './tls-credentials.ts'
import {
  BATCH_SUBPROTOCOL,
  FRAME_BYTES_MAX,
  RPC_PATH,
  SUBPROTOCOL,
  SUBPROTOCOL_PREFIX,
  versionMismatch,
} from './wire.ts'

/** Open connections of a listener, and those among them of peers without a certificate. */
const CONNECTIONS_MAX = 4096
const ANONYMOUS_CONNECTIONS_MAX = 64
/** A joining node is done well before, milliseconds. */
const ANONYMOUS_LIFETIME_MS = 30_000
/** For the TLS handshake and the HTTP headers each, milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000

export interface RpcServerDeps extends PeerConnectionDeps {
  /** Whether this node was removed from the cluster: it is refused, and an open connection ends within a second. */
  isRemoved?: (nodeId: string) => boolean
}

export interface RpcServerOptions {
  /** host:port; port 0 takes a free one. */
  listenAddr: string
  credentials: TlsCredentials
  /** Requests of other managers at any path but the rpc one. */
  httpHandler?: (request: IncomingMessage, response: ServerResponse, peer: PeerIdentity) => void
  upgradeHandler?: (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    peer: PeerIdentity,
  ) => void
}

/** The cluster port: one TLS 1.3 listener for rpc, and for plain HTTPS between managers. */
export class RpcServer {
  readonly #deps: RpcServerDeps
  readonly #options: RpcServerOptions
  readonly #connections = new Set<PeerConnection>()
  /** Those of peers without a certificate, the oldest first. */
  readonly #anonymous = new Set<PeerConnection>()
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: FRAME_BYTES_MAX,
    handleProtocols: (offered) =>
      offered.has(BATCH_SUBPROTOCOL) ? BATCH_SUBPROTOCOL : SUBPROTOCOL,
  })
  #credentials: TlsCredentials
  #server: Server | undefined

  constructor(deps: RpcServerDeps, options: RpcServerOptions) {
    this.#deps = deps
    this.#options = options
    this.#credentials = options.credentials
  }

  /** The bound port. Only between start and stop. */
  get port(): number {
    assert(this.#server, 'the server is started')
    return (this.#server.address() as AddressInfo).port
  }

  /** Rejects with UNAVAILABLE when the address can't be bound. */
  async start(): Promise<void> {
    const { host, port } = parseHostPort(this.#options.listenAddr)
    const server = createServer({
      ...secureContext(this.#credentials),
      requestCert: true,
      // Verified all the same: the refusal comes as an answer that says why.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: HANDSHAKE_TIMEOUT_MS,
      // A forwarded request's body may be the input of a command that somebody works with for hours.
      requestTimeout: 0,
    })
    server.maxConnections = CONNECTIONS_MAX
    server.on('request', (request, response) => this.#onRequest(request, response))
    server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    server.on('tlsClientError', (error, socket) => {
      const from = socket.remoteAddress
      this.#deps.log.debug({ from, reason: error.message }, 'a TLS handshake failed')
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        const message = `can't listen on ${this.#options.listenAddr}: ${cause.message}`
        reject(new SwarmctlError('UNAVAILABLE', message, { cause }))
      })
      server.listen(port, host || undefined, resolve)
    })
    server.removeAllListeners('error')
    server.on('error', (error) => this.#deps.log.warn({ reason: error.message }, 'cluster port'))
    this.#server = server
  }

  /** Closes the listener and every connection. */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
    for (const connection of [...this.#connections]) connection.close()
    server.closeAllConnections()
    await closed
  }

  /** New connections get these; open ones stay. */
  setCredentials(credentials: TlsCredentials): void {
    this.#credentials = credentials
    this.#server?.setSecureContext(secureContext(credentials))
  }

  #judge(socket: TLSSocket): PeerVerdict {
    const verdict = judgeClient(socket, this.#deps.clock.nowMs())
    if (verdict.kind !== 'node') return verdict
    const { nodeId, clusterId } = verdict.peer.identity
    if (clusterId !== this.#credentials.clusterId) return refusal('your node is in another cluster')
    if (!this.#deps.isRemoved?.(nodeId)) return verdict
    return refusal(
      'this node was removed from the cluster: leave with --force and join again',
      'NODE_REMOVED',
    )
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { httpHandler } = this.#options
    const peer = this.#manager(request.socket as TLSSocket)
    if (peer instanceof SwarmctlError) {
      // The rest of its request is not waited for: it would hold the connection for as long as it likes.
      response.writeHead(peer.httpStatus, {
        'content-type': 'application/json',
        connection: 'close',
      })
      response.end(errorBody(peer))
    } else if (httpHandler && pathOf(request) !== RPC_PATH) {
      httpHandler(request, response, peer)
    } else {
      response.writeHead(404, { connection: 'close' }).end()
    }
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => {
      this.#deps.log.debug({ reason: error.message }, 'a connection broke')
    })
    if (pathOf(request) === RPC_PATH) this.#onRpc(request, socket as TLSSocket, head)
    else this.#onOtherUpgrade(request, socket as TLSSocket, head)
  }

  #onOtherUpgrade(request: IncomingMessage, socket: TLSSocket, head: Buffer): void {
    const peer = this.#manager(socket)
    if (peer instanceof SwarmctlError) refuse(socket, peer.httpStatus, peer)
    else if (this.#options.upgradeHandler) {
      this.#options.upgradeHandler(request, socket, head, peer)
    } else {
      refuse(socket, 404, new SwarmctlError('NOT_FOUND', 'there is nothing at this path'))
    }
  }

  #onRpc(request: IncomingMessage, socket: TLSSocket, head: Buffer): void {
    const offered = request.headers['sec-websocket-protocol'] ?? ''
    if (!offered.split(/\s*,\s*/).includes(SUBPROTOCOL)) {
      const version = OFFERED_VERSION.exec(offered)?.[1] ?? 'unknown'
      refuse(socket, 426, new SwarmctlError('UNIMPLEMENTED', versionMismatch(version)))
      return
    }
    const verdict = this.#judge(socket)
    if (verdict.kind === 'refused') {
      const { message } = verdict.error
      this.#deps.log.info({ from: socket.remoteAddress, message }, 'refused a connection')
      refuse(socket, verdict.error.httpStatus, verdict.error)
    } else if (verdict.kind === 'anonymous' && !this.#makeRoom()) {
      refuse(socket, 503, unavailable('too many nodes are joining at once: try again'))
    } else {
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) =>
        this.#open(verdict, webSocket, socket),
      )
    }
  }

  /** Whether one more without a certificate may come: the oldest that waits for no answer gives way, since a joining node asks at once. */
  #makeRoom(): boolean {
    if (this.#anonymous.size < ANONYMOUS_CONNECTIONS_MAX) return true
    const idle = [...this.#anonymous].find((connection) => !connection.isServing)
    idle?.close('others are joining and this connection was idle: try again')
    return idle !== undefined
  }

  #open(
    verdict: Exclude<PeerVerdict, { kind: 'refused' }>,
    webSocket: ConstructorParameters<typeof PeerConnection>[1]['webSocket'],
    socket: TLSSocket,
  ): void {
    const peer = verdict.kind === 'node' ? verdict.peer : undefined
    const openedMs = this.#deps.clock.nowMs()
    const connection = new PeerConnection(this.#deps, {
      webSocket,
      socket,
      peer: peer?.identity ?? null,
      isAnonymousClient: peer === undefined,
      isInitiator: false,
      remoteIp: plainIp(socket.remoteAddress ?? ''),
      remotePort: socket.remotePort ?? 0,
      mayStay: () => {
        const nowMs = this.#deps.clock.nowMs()
        if (!peer)
          return nowMs - openedMs > ANONYMOUS_LIFETIME_MS ? 'joining took too long' : undefined
        if (nowMs > peer.notAfterMs) return 'your certificate expired'
        return this.#deps.isRemoved?.(peer.identity.nodeId)
          ? 'this node was removed from the cluster'
          : undefined
      },
    })
    if (!peer) this.#anonymous.add(connection)
    this.#connections.add(connection)
    connection.onClose(() => {
      this.#anonymous.delete(connection)
      this.#connections.delete(connection)
    })
  }

  /** The manager at the other end, or why it may not use what only managers may. */
  #manager(socket: TLSSocket): PeerIdentity | SwarmctlError {
    const verdict = this.#judge(socket)
    if (verdict.kind === 'refused') return verdict.error
    const peer = verdict.kind === 'node' ? verdict.peer.identity : undefined
    if (peer && this.#deps.handlers.roleOf(peer) === 'manager') return peer
    return new SwarmctlError('PERMISSION_DENIED', 'only managers of the cluster may do this')
  }
}

const OFFERED_VERSION = new RegExp(`^${SUBPROTOCOL_PREFIX}([\\w.]{1,20})`)

const secureContext = ({ keyPem, certPem, rootCAPem }: TlsCredentials) => ({
  key: keyPem,
  cert: certPem,
  ca: rootCAPem,
  minVersion: 'TLSv1.3' as const,
})

const refusal = (message: string, code: ErrorCode = 'UNAUTHENTICATED'): PeerVerdict => ({
  kind: 'refused',
  error: new SwarmctlError(code, message),
})

const pathOf = (request: IncomingMessage): string => (request.url ?? '').split('?', 1)[0]!

const errorBody = ({ code, message }: SwarmctlError): string => JSON.stringify({ code, message })

/** Answers an upgrade request with an error and ends the connection. */
const refuse = (socket: TLSSocket, status: number, error: SwarmctlError): void => {
  const body = errorBody(error)
  socket.write(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  // The listener allows half-open sockets, so that ending alone would leave it to the peer.
  socket.destroySoon()
}
