import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server } from 'node:net'
import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import type { EngineResolver } from '../name-clients.ts'
import { type Answer, answerQuery } from './answer.ts'
import type { NameIndex } from './names.ts'
import { SourceLimit } from './source-limit.ts'
import { serveTcpClient } from './tcp-client.ts'
import type { Upstream } from './upstream.ts'

const DNS_PORT = 53
/** Per gateway; a container's resolver opens one for a truncated answer. */
const TCP_CONNECTIONS_MAX = 256
/** Of one container, for as many questions as it may have upstream: with `use-vc` (resolv.conf(5)) each has one of its own. */
const TCP_CONNECTIONS_PER_SOURCE_MAX = 64
/** Names of which it is known how often they were answered; then they begin anew. */
const TURNS_MAX = 10_000
/** Until a gateway's address can be bound: the bridge appears with its first container. */
const BIND_RETRY_MS = 1000

interface Gateway {
  udp: UdpSocket | null
  tcp: Server | null
  /** Cancels the retry of a failed bind. */
  cancelRetry: () => void
  problem: string
}

/** What the DNS server needs to know, asked anew for every query. */
export interface DnsSource {
  names(): NameIndex
  /** The Engine's resolver in the asking container, where it is to be asked what is not ours; its servers are the Engine's matter. */
  resolverOf(source: string): EngineResolver | undefined
  /** Nameservers that the asking task was given by its service, none otherwise. */
  nameserversOf(source: string): readonly string[]
}

/** DNS on the gateway address of every overlay bridge of this node, UDP and TCP. */
export class DnsServer {
  readonly #clock: Clock
  readonly #log: Log
  readonly #upstream: Upstream
  readonly #source: DnsSource
  readonly #port: number
  readonly #gateways = new Map<string, Gateway>()
  /** By family and name: with one count for all, two names asked in turn would each get every second address only. */
  readonly #turns = new Map<string, number>()

  /** `port`: to listen on, where it is not DNS's. */
  constructor(
    deps: { clock: Clock; log: Log; upstream: Upstream; source: DnsSource },
    port = DNS_PORT,
  ) {
    this.#port = port
    this.#clock = deps.clock
    this.#log = deps.log
    this.#upstream = deps.upstream
    this.#source = deps.source
  }

  /** Serves exactly these addresses. Resolves when those that can be bound are. */
  async serve(addresses: ReadonlySet<string>): Promise<void> {
    for (const [address, gateway] of this.#gateways) {
      if (addresses.has(address)) continue
      this.#gateways.delete(address)
      closeGateway(gateway)
    }
    const fresh = [...addresses].filter((address) => !this.#gateways.has(address))
    await Promise.all(
      fresh.map((address) => {
        const gateway: Gateway = { udp: null, tcp: null, cancelRetry: () => {}, problem: '' }
        this.#gateways.set(address, gateway)
        return this.#open(address, gateway)
      }),
    )
  }

  /** One line per address that can't be served. */
  problems(): string[] {
    return [...this.#gateways.values()].map((one) => one.problem).filter((one) => one !== '')
  }

  close(): void {
    for (const gateway of this.#gateways.values()) closeGateway(gateway)
    this.#gateways.clear()
  }

  async #open(address: string, gateway: Gateway): Promise<void> {
    try {
      gateway.udp ??= await this.#openUdp(address)
      gateway.tcp ??= await this.#openTcp(address)
      gateway.problem = ''
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE') {
        const problem = `port 53 of ${address} is taken by another DNS server of this host: let it listen on fewer addresses (dnsmasq: bind-interfaces), names of services do not resolve here until then`
        if (gateway.problem !== problem) this.#log.error({ address }, problem)
        gateway.problem = problem
      } else if (code !== 'EADDRNOTAVAIL') {
        this.#log.warn({ address, error: (error as Error).message }, 'DNS server: bind failed')
      }
      gateway.cancelRetry = this.#clock.schedule(BIND_RETRY_MS, () => {
        void this.#open(address, gateway)
      })
    }
    if (this.#gateways.get(address) !== gateway) closeGateway(gateway)
  }

  #openUdp(address: string): Promise<UdpSocket> {
    const socket = createSocket('udp4')
    socket.on('message', (message, from) => {
      void this.#answerSafely(message, from.address, 'udp').then((answer) => {
        // A client that is gone, or a socket that was closed meanwhile: nobody to tell.
        if (answer !== null) trySend(socket, answer, from.port, from.address)
      })
    })
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        // Unlike a server of TCP it keeps its descriptor, and the retry opens another.
        socket.close()
        reject(error)
      })
      socket.bind(this.#port, address, () => {
        socket.removeAllListeners('error')
        socket.on('error', (error) => this.#log.warn({ error: error.message }, 'DNS socket'))
        resolve(socket)
      })
    })
  }

  #openTcp(address: string): Promise<Server> {
    const connections = new SourceLimit({
      max: TCP_CONNECTIONS_MAX,
      maxPerSource: TCP_CONNECTIONS_PER_SOURCE_MAX,
    })
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const source = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
      if (!connections.take(source)) {
        socket.destroy()
        return
      }
      socket.once('close', () => connections.giveBack(source))
      void serveTcpClient(socket, (message) => this.#answerSafely(message, source, 'tcp'))
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, address, () => {
        server.off('error', reject)
        server.on('error', (error) => this.#log.warn({ error: error.message }, 'DNS socket'))
        resolve(server)
      })
    })
  }

  /** A container can send anything: a name that can be read but not written again, say. It gets no answer. */
  async #answerSafely(
    message: Buffer,
    source: string,
    transport: 'udp' | 'tcp',
  ): Promise<Buffer | null> {
    try {
      return await this.#answer(message, source, transport)
    } catch (error) {
      this.#log.debug({ source, error: (error as Error).message }, 'DNS: no answer possible')
      return null
    }
  }

  #turn(key: string): number {
    const turn = ((this.#turns.get(key) ?? 0) + 1) % Number.MAX_SAFE_INTEGER
    if (this.#turns.size >= TURNS_MAX) this.#turns.clear()
    this.#turns.set(key, turn)
    return turn
  }

  /**
   * Whom a container's other questions go to; undefined: the host's servers. One that is only on internal networks must reach nobody
   * outside by its questions either (CVE-2024-29018), so only servers on its own networks are asked.
   */
  #servers(source: string, names: NameIndex): readonly string[] | undefined {
    const given = this.#source.nameserversOf(source)
    if (!names.reachesOutside(source)) return names.ownServers(source, given)
    return given.length > 0 ? given : undefined
  }

  /** The answer's bytes, or null when the message deserves none. */
  async #answer(message: Buffer, source: string, transport: 'udp' | 'tcp'): Promise<Buffer | null> {
    const names = this.#source.names()
    const turn = (type: 'A' | 'AAAA', name: string) => this.#turn(`${type} ${name}`)
    const answer: Answer = answerQuery(message, { names, source, transport, turn })
    switch (answer.kind) {
      case 'ignore':
        return null
      case 'reply':
        return answer.message
      case 'forward': {
        const question = { message, transport, source }
        const resolver = this.#source.resolverOf(source)
        const upstream = await (resolver === undefined
          ? this.#upstream.ask(question, this.#servers(source, names))
          : this.#upstream.askEngine(question, resolver))
        if (upstream.kind === 'message') return upstream.message
        return upstream.kind === 'none' ? answer.refusal : answer.failure
      }
      default:
        return answer satisfies never
    }
  }
}

const trySend = (socket: UdpSocket, message: Buffer, port: number, address: string): void => {
  try {
    socket.send(message, port, address, () => {})
  } catch {
    // ERR_SOCKET_DGRAM_NOT_RUNNING: closed while the answer was on its way.
  }
}

const closeGateway = (gateway: Gateway): void => {
  gateway.cancelRetry()
  gateway.udp?.close()
  gateway.tcp?.close()
  gateway.udp = null
  gateway.tcp = null
}
