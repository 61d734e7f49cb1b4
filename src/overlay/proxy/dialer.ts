import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SwarmctlError } from '../../api/errors.ts'
import type { PublishedEndpoint } from '../forwarding-table.ts'
import { awaitConnected, type Tunnel } from './tunnel.ts'

/** Milliseconds for one attempt: several fit into what clients wait. */
const CONNECT_TIMEOUT_MS = 2000

/** Which way a node's proxy takes to endpoints of other nodes. */
export interface DialOptions {
  selfId: () => string | null
  /** Absent in the kernel plane, where every endpoint is a route away. */
  tunnel: Tunnel | null
}

/** Opens connections to endpoints: local ones directly, others through the tunnel, or routed where there is none. */
export class Dialer {
  readonly #options: DialOptions
  /** Attempts under way. Bounded by the listeners' connections, each by its time. */
  readonly #attempts = new Map<Promise<Duplex>, PublishedEndpoint>()

  constructor(options: DialOptions) {
    this.#options = options
  }

  /** A stream to the endpoint. Rejects when it can't be had in time. */
  async open(endpoint: PublishedEndpoint, protocol: 'tcp' | 'udp'): Promise<Duplex> {
    const attempt = this.#open(endpoint, protocol)
    this.#attempts.set(attempt, endpoint)
    try {
      return await attempt
    } finally {
      this.#attempts.delete(attempt)
    }
  }

  /** Resolves when the attempts that are under way to such endpoints have ended; those that succeeded are connections of the endpoint's by then. */
  async settled(isMeant: (endpoint: PublishedEndpoint) => boolean): Promise<void> {
    const meant = [...this.#attempts].filter(([, endpoint]) => isMeant(endpoint))
    await Promise.allSettled(meant.map(([attempt]) => attempt))
  }

  async #open(endpoint: PublishedEndpoint, protocol: 'tcp' | 'udp'): Promise<Duplex> {
    const { tunnel } = this.#options
    if (tunnel === null || this.isDirect(endpoint)) return this.#direct(endpoint)
    const { networkId, addr, port, nodeId } = endpoint
    const opening = tunnel.open(nodeId, { networkId, addr, port, protocol })
    return await withTimeout(protocol === 'udp' ? opening : opening.then(awaitConnected), endpoint)
  }

  /** Whether packets go to the endpoint without the tunnel. */
  isDirect(endpoint: PublishedEndpoint): boolean {
    return this.#options.tunnel === null || endpoint.nodeId === this.#options.selfId()
  }

  #direct(endpoint: PublishedEndpoint): Promise<Socket> {
    const { addr: host, port } = endpoint
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true })
      const timer = setTimeout(() => socket.destroy(unreachable(endpoint)), CONNECT_TIMEOUT_MS)
      socket.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.removeAllListeners('error')
        resolve(socket)
      })
    })
  }
}

const unreachable = (endpoint: PublishedEndpoint): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', `${endpoint.addr}:${endpoint.port} does not answer`)

const withTimeout = (opening: Promise<Duplex>, endpoint: PublishedEndpoint): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      reject(unreachable(endpoint))
    }, CONNECT_TIMEOUT_MS)
    opening.then(
      (stream) => {
        clearTimeout(timer)
        if (isLate) stream.destroy()
        else resolve(stream)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
