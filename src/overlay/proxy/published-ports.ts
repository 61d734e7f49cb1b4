import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import type { PublishedPort } from '../forwarding-table.ts'
import { Dialer, type DialOptions } from './dialer.ts'
import { TcpListener } from './tcp-listener.ts'
import { UdpListener } from './udp-listener.ts'

/** Milliseconds until a port that another process holds is tried again. */
const RETRY_MS = 5000
/** DNS of the overlay bridges has this port on the gateways: a published one can't have all addresses. */
const DNS_PORT = 53
const LOOPBACK = '127.0.0.1'

type Listener = TcpListener | UdpListener

interface Held {
  protocol: 'tcp' | 'udp'
  port: number
  /** The one address to listen on. */
  hostIp: string | undefined
  /** Null while another process has the port. */
  listener: Listener | null
  problem: string
  cancelRetry: () => void
}

const keyOf = (port: PublishedPort): string => `${port.protocol}/${port.port}`

/**
 * The listeners of every published port of this node. In both planes: they reserve the number on the host, and serve what packets
 * rules do not (loopback, IPv6) or everything when there are no rules.
 */
export class PublishedPorts {
  readonly #clock: Clock
  readonly #log: Log
  readonly #dialer: Dialer
  readonly #held = new Map<string, Held>()
  readonly #onReserved: () => void
  #wanted = new Map<string, PublishedPort>()

  /** `onReserved` is called when a port could be taken after all. */
  constructor(deps: { clock: Clock; log: Log; onReserved: () => void }, options: DialOptions) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#onReserved = deps.onReserved
    this.#dialer = new Dialer(options)
  }

  /**
   * Holds exactly these ports with these endpoints. New ones serve nobody before `makeRules` is through, which keeps the client's address; when it
   * fails they serve all the same.
   */
  async set(
    ports: readonly PublishedPort[],
    dead: ReadonlySet<string>,
    makeRules: () => Promise<void> = async () => {},
  ): Promise<void> {
    await this.#reserve(ports)
    try {
      await makeRules()
    } finally {
      for (const [key, { listener }] of this.#held) {
        const port = this.#wanted.get(key)
        if (port !== undefined) listener?.set(port)
        if (listener instanceof TcpListener && dead.size > 0) listener.reset(dead)
      }
    }
  }

  /** Resolves when each is taken or known to be in use. */
  async #reserve(ports: readonly PublishedPort[]): Promise<void> {
    this.#wanted = new Map(ports.map((port) => [keyOf(port), port]))
    for (const [key, held] of this.#held) {
      const port = this.#wanted.get(key)
      // Connections through a port that is not published any more go on, as those that the kernel translates do.
      if (port === undefined || port.hostIp !== held.hostIp) this.#release(key, held, true)
    }
    await Promise.all(
      ports.map((port) => {
        const { protocol } = port
        // SCTP has no sockets in Node: the kernel plane alone serves it.
        if (protocol === 'sctp' || this.#held.has(keyOf(port))) return undefined
        const held: Held = {
          protocol,
          port: port.port,
          hostIp: port.hostIp,
          listener: null,
          problem: '',
          cancelRetry: () => {},
        }
        this.#held.set(keyOf(port), held)
        return this.#open(keyOf(port), held)
      }),
    )
  }

  /** Resolves when no connection is on its way to an endpoint that `set` left out: whoever takes a task out of rotation may look for its connections then. */
  settled(): Promise<void> {
    const wanted = [...this.#wanted.values()].flatMap(({ endpoints }) => endpoints)
    return this.#dialer.settled(
      ({ addr, port }) => !wanted.some((one) => one.addr === addr && one.port === port),
    )
  }

  /** Whether the port's number is ours on this host. */
  readonly isReserved = (port: PublishedPort): boolean => {
    if (port.protocol === 'sctp') return true
    return (this.#held.get(keyOf(port))?.listener ?? null) !== null
  }

  /** One line per port that can't be had. */
  problems(): string[] {
    return [...this.#held.values()].map((one) => one.problem).filter((one) => one !== '')
  }

  /** Gives every port back and ends the connections through this process. */
  close(): void {
    for (const [key, held] of this.#held) this.#release(key, held, false)
  }

  #release(key: string, held: Held, keepConnections: boolean): void {
    this.#held.delete(key)
    held.cancelRetry()
    if (held.listener instanceof TcpListener) held.listener.close(keepConnections)
    else held.listener?.close()
  }

  async #open(key: string, held: Held): Promise<void> {
    try {
      const listener = await this.#listen(held)
      if (this.#held.get(key) !== held) {
        listener.close()
        return
      }
      // One of a single address has no rules that it would have to wait for.
      if (held.hostIp !== undefined) listener.set(this.#wanted.get(key) ?? { endpoints: [] })
      held.listener = listener
      if (held.problem !== '') {
        this.#log.info({ port: key }, 'the published port is free now')
        held.problem = ''
        this.#onReserved()
      }
    } catch (error) {
      this.#onFailure(key, held, error as NodeJS.ErrnoException)
    }
  }

  #onFailure(key: string, held: Held, error: NodeJS.ErrnoException): void {
    // The address is another node's, or none's: it may come.
    const isElsewhere = held.hostIp !== undefined && error.code === 'EADDRNOTAVAIL'
    if (isElsewhere) return this.#retry(key, held)
    const problem =
      error.code === 'EADDRINUSE'
        ? `published port ${key} is in use by another process of this host: stop that (ss -lnp 'sport = :${held.port}' shows it) or publish another port; it is tried again every ${RETRY_MS / 1000} s`
        : `published port ${key} can't be opened: ${error.message}; it is tried again every ${RETRY_MS / 1000} s`
    if (held.problem !== problem) this.#log.error({ port: key }, problem)
    held.problem = problem
    this.#retry(key, held)
  }

  #retry(key: string, held: Held): void {
    if (this.#held.get(key) !== held) return
    held.cancelRetry = this.#clock.schedule(RETRY_MS, () => {
      void this.#open(key, held)
    })
  }

  /** The address that the port is for, or all addresses of both families; IPv4 alone where the host has no IPv6. */
  async #listen(held: Held): Promise<Listener> {
    if (held.hostIp !== undefined) return await this.#listenOn(held, held.hostIp)
    if (held.port === DNS_PORT) return await this.#listenOn(held, LOOPBACK)
    try {
      return await this.#listenOn(held, '::')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL' && code !== 'EINVAL') throw error
      return await this.#listenOn(held, '0.0.0.0')
    }
  }

  async #listenOn(held: Held, host: string): Promise<Listener> {
    const deps = { dialer: this.#dialer }
    const listener =
      held.protocol === 'tcp'
        ? new TcpListener(deps)
        : new UdpListener(deps, { isIpv6: host.includes(':') })
    await listener.listen(held.port, host)
    return listener
  }
}
