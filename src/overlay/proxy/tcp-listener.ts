import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PublishedEndpoint, PublishedPort } from '../forwarding-table.ts'
import type { Dialer } from './dialer.ts'
import { cutOff, joinStreams } from './join.ts'
import { EndpointRing } from './pick.ts'
import { proxyHeader } from './proxy-header.ts'

/** Connections per published port; two file descriptors each. */
const CONNECTIONS_MAX = 8192
/** Milliseconds until the kernel asks a silent peer whether it is still there. */
const KEEP_ALIVE_MS = 60_000

/** One published TCP port served in user space. */
export class TcpListener {
  readonly #dialer: Dialer
  readonly #server: Server
  readonly #ring = new EndpointRing()
  /** Upstream streams by endpoint address, to reset those of an address that died. */
  readonly #upstreams = new Map<string, Set<Duplex>>()
  readonly #clients = new Set<Socket>()
  #sendsProxyHeader = false

  constructor(deps: { dialer: Dialer }) {
    this.#dialer = deps.dialer
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('connection', (client) => void this.#onConnection(client))
  }

  /** Takes the port. Rejects with the system's error. */
  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ port, host, backlog: 1024 }, () => {
        this.#server.off('error', reject)
        // Accept errors (no file descriptors left) pass; the listener goes on.
        this.#server.on('error', () => {})
        resolve()
      })
    })
  }

  /** What new connections get. */
  set(port: Pick<PublishedPort, 'endpoints' | 'sendsProxyHeader'>): void {
    this.#ring.set(port.endpoints)
    this.#sendsProxyHeader = port.sendsProxyHeader === true
  }

  /** Ends the connections to addresses whose node or container is gone. */
  reset(addresses: ReadonlySet<string>): void {
    // Few have connections through this process, and each port is asked at each change of the cluster.
    for (const [addr, streams] of this.#upstreams)
      if (addresses.has(addr)) for (const stream of streams) stream.destroy()
  }

  /** Gives the port back. Established connections go on only when `keep` is set. */
  close(keep = false): void {
    this.#server.close()
    if (keep) return
    for (const client of this.#clients) cutOff(client)
  }

  async #onConnection(client: Socket): Promise<void> {
    this.#clients.add(client)
    client.on('close', () => this.#clients.delete(client))
    client.on('error', () => client.destroy())
    client.setKeepAlive(true, KEEP_ALIVE_MS)
    const ends = endsOf(client)
    const found = await this.#connect(client)
    if (found === null) {
      // A refusal, as far as an accepted connection can have one.
      client.resetAndDestroy()
      return
    }
    const { upstream, addr } = found
    if (this.#sendsProxyHeader) upstream.write(proxyHeader(ends))
    const streams = this.#upstreams.get(addr) ?? new Set()
    this.#upstreams.set(addr, streams.add(upstream))
    joinStreams(client, upstream, () => {
      streams.delete(upstream)
      if (streams.size === 0) this.#upstreams.delete(addr)
    })
  }

  async #connect(client: Socket): Promise<{ upstream: Duplex; addr: string } | null> {
    const tried = new Set<PublishedEndpoint>()
    // Asked anew each time: who left rotation meanwhile may be stopped as soon as no attempt is under way.
    for (;;) {
      const endpoint = client.destroyed ? undefined : this.#ring.next(tried)
      if (endpoint === undefined) return null
      tried.add(endpoint)
      try {
        const upstream = await this.#dialer.open(endpoint, 'tcp')
        if (!client.destroyed) return { upstream, addr: endpoint.addr }
        upstream.destroy()
        return null
      } catch {
        // Nothing was sent yet: the next endpoint gets the connection.
      }
    }
  }
}

/** A client that went at once has no addresses; nobody is told of it. */
const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket) => ({
  remoteAddress: remoteAddress ?? '',
  remotePort: remotePort ?? 0,
  localAddress: localAddress ?? '',
  localPort: localPort ?? 0,
})
