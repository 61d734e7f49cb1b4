import type { ClientRequest, IncomingMessage } from 'node:http'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { SwarmctlError } from '../api/errors.ts'
import { formatHostPort, parseHostPort, plainIp } from './address.ts'
import { errorFrom } from './codec.ts'
import { connectError } from './connect-error.ts'
import type { RpcConnection } from './connection.ts'
import { identityOf, verifiedPeer } from './peer-certificate.ts'
import { PeerConnection, type PeerConnectionDeps } from './peer-connection.ts'
import type { TlsCredentials } from './tls-credentials.ts'
import { BATCH_SUBPROTOCOL, FRAME_BYTES_MAX, RPC_PATH, SUBPROTOCOL } from './wire.ts'

/** From the first packet to the finished handshake, in milliseconds. */
export const CONNECT_TIMEOUT_MS = 5000
/** A refused handshake's body that is read, bytes. */
const REFUSAL_BYTES_MAX = 4096

export interface ConnectOptions extends PeerConnectionDeps {
  credentials: TlsCredentials
  /** Gives up connecting; the open connection is not closed by it. */
  signal?: AbortSignal
  /** The peer must be this node, of either role; without it, any manager of the cluster. */
  expectNodeId?: string
}

export interface AnonymousConnectOptions extends PeerConnectionDeps {
  /** The peer must be a manager with a certificate from it. Without it the peer is not verified at all: send it nothing secret. */
  rootCAPem?: string
  signal?: AbortSignal
}

interface Dial {
  deps: PeerConnectionDeps
  tls: { ca?: string; cert?: string; key?: string }
  checkPeer: ((certificate: PeerCertificate) => Error | undefined) | undefined
  signal: AbortSignal | undefined
}

/**
 * Connects to a node of the own cluster with mutual TLS 1.3. The peer's certificate has to come from the cluster's root and
 * be a manager's, or `expectNodeId`'s; host names play no part. Rejects with UNAVAILABLE (not reachable) or UNAUTHENTICATED (not who
 * it should be, or this node is refused), each in one line.
 */
export const connect = (addr: string, options: ConnectOptions): Promise<RpcConnection> => {
  const { keyPem, certPem, rootCAPem, clusterId } = options.credentials
  return dial(addr, {
    deps: options,
    tls: { ca: rootCAPem, cert: certPem, key: keyPem },
    checkPeer: (certificate) =>
      wrongPeer(addr, certificate, { clusterId, nodeId: options.expectNodeId }),
    signal: options.signal,
  })
}

/** Connects without a certificate of one's own: only methods registered `anonymous` answer. */
export const connectAnonymously = (
  addr: string,
  options: AnonymousConnectOptions,
): Promise<RpcConnection> => {
  const { rootCAPem } = options
  return dial(addr, {
    deps: options,
    tls: rootCAPem === undefined ? {} : { ca: rootCAPem },
    checkPeer:
      rootCAPem === undefined ? undefined : (certificate) => wrongPeer(addr, certificate, {}),
    signal: options.signal,
  })
}

const wrongPeer = (
  addr: string,
  certificate: PeerCertificate,
  expected: { clusterId?: string; nodeId?: string | undefined },
): Error | undefined => {
  const identity = identityOf(certificate)
  const wrong = (why: string): Error =>
    new SwarmctlError('UNAUTHENTICATED', `the node at ${addr} ${why}`)
  if (!identity) return wrong('has no certificate of a node')
  if (expected.clusterId !== undefined && identity.clusterId !== expected.clusterId) {
    return wrong('is in another cluster')
  }
  if (expected.nodeId === undefined) {
    return identity.role === 'manager' ? undefined : wrong('is a worker, not a manager')
  }
  if (identity.nodeId === expected.nodeId) return undefined
  return wrong(`is ${identity.nodeId}, not ${expected.nodeId}`)
}

const url = (addr: string): string => `wss://${formatHostPort(parseHostPort(addr))}${RPC_PATH}`

/** The options that ws passes on to `tls.connect`, and that its own types do not all know. */
const tlsOptions = (tls: Dial['tls'], checkPeer: Dial['checkPeer']): object => ({
  ...tls,
  minVersion: 'TLSv1.3',
  rejectUnauthorized: checkPeer !== undefined,
  checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkPeer?.(certificate),
  // SNI may not carry an IP address, and the name is not what is checked.
  servername: 'swarm-manager',
})

const dial = (addr: string, { deps, tls, checkPeer, signal }: Dial): Promise<RpcConnection> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(connectError(addr, signal.reason, deps.clock.nowMs()))
      return
    }
    const webSocket = new WebSocket(url(addr), [BATCH_SUBPROTOCOL, SUBPROTOCOL], {
      ...tlsOptions(tls, checkPeer),
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: FRAME_BYTES_MAX,
      // RFC 6455 §10.3 masks against scripts that choose bytes for a proxy to misread. Nobody else is in this TLS connection;
      // with a mask of zeros ws copies nothing.
      generateMask: (mask: Buffer) => mask.fill(0),
    })
    const onAbort = (): void => fail(signal?.reason)
    const fail = (cause: unknown): void => {
      signal?.removeEventListener('abort', onAbort)
      reject(connectError(addr, cause, deps.clock.nowMs()))
      webSocket.terminate()
    }
    let socket: TLSSocket
    signal?.addEventListener('abort', onAbort, { once: true })
    webSocket.on('error', fail)
    webSocket.on('unexpected-response', (request, response) => {
      void readRefusal(request, response).then(fail)
    })
    webSocket.on('upgrade', (response) => {
      socket = response.socket as TLSSocket
    })
    webSocket.on('open', () => {
      signal?.removeEventListener('abort', onAbort)
      webSocket.off('error', fail)
      resolve(openConnection(webSocket, socket, checkPeer !== undefined, deps))
    })
  })

const openConnection = (
  webSocket: WebSocket,
  socket: TLSSocket,
  isVerified: boolean,
  deps: PeerConnectionDeps,
): RpcConnection => {
  const peer = isVerified ? verifiedPeer(socket) : undefined
  return new PeerConnection(deps, {
    webSocket,
    socket,
    peer: peer?.identity ?? null,
    isAnonymousClient: false,
    isInitiator: true,
    remoteIp: plainIp(socket.remoteAddress ?? ''),
    remotePort: socket.remotePort ?? 0,
    mayStay: () =>
      peer && deps.clock.nowMs() > peer.notAfterMs ? "the peer's certificate expired" : undefined,
  })
}

/** The error that a server which refused the handshake gave as JSON. */
const readRefusal = async (request: ClientRequest, response: IncomingMessage): Promise<Error> => {
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > REFUSAL_BYTES_MAX) break
    }
    return errorFrom(JSON.parse(text))
  } catch {
    return new SwarmctlError(
      'UNAVAILABLE',
      `it is not the cluster port of a swarmctl node (HTTP status ${response.statusCode})`,
    )
  } finally {
    request.destroy()
  }
}
