import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { Duplex } from 'node:stream'
import { connectDatagram } from '../connect-datagram.ts'
import type { PublishedEndpoint, PublishedPort } from '../forwarding-table.ts'
import { DatagramReader, frameDatagram } from './datagram-frames.ts'
import type { Dialer } from './dialer.ts'
import { EndpointRing } from './pick.ts'
import { UDP_IDLE_TIMEOUT_MS } from './tunnel.ts'

/** Clients at a time per published port; a further one takes the place of the one that was silent longest. */
const SESSIONS_MAX = 4096
/** Datagrams that wait while a session opens. */
const PENDING_MAX = 16

interface Session {
  endpoint: PublishedEndpoint
  send(datagram: Buffer): void
  close(): void
  timer: NodeJS.Timeout
}

/** One published UDP port served in user space: a session per client address, on one endpoint as long as that is ready. */
export class UdpListener {
  readonly #dialer: Dialer
  readonly #socket: Socket
  readonly #ring = new EndpointRing()
  readonly #sessionsMax: number
  /** By client, the one that was silent longest first. */
  readonly #sessions = new Map<string, Session>()
  #isClosed = false

  constructor(deps: { dialer: Dialer }, options: { isIpv6: boolean; sessionsMax?: number }) {
    this.#dialer = deps.dialer
    this.#sessionsMax = options.sessionsMax ?? SESSIONS_MAX
    this.#socket = createSocket({ type: options.isIpv6 ? 'udp6' : 'udp4' })
    this.#socket.on('message', (datagram, from) => this.#onDatagram(datagram, from))
  }

  /** Takes the port. Rejects with the system's error. */
  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('error', (error) => {
        this.#isClosed = true
        this.#socket.close()
        reject(error)
      })
      this.#socket.bind({ port, address: host, exclusive: true }, () => {
        this.#socket.removeAllListeners('error')
        // ICMP errors of clients that are gone.
        this.#socket.on('error', () => {})
        resolve()
      })
    })
  }

  /** Sessions of endpoints that left go elsewhere with their next datagram. */
  set({ endpoints }: Pick<PublishedPort, 'endpoints'>): void {
    this.#ring.set(endpoints)
    for (const [client, session] of this.#sessions) {
      if (!this.#ring.has(session.endpoint)) this.#end(client, session)
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const [client, session] of this.#sessions) this.#end(client, session)
    this.#socket.close()
  }

  #onDatagram(datagram: Buffer, from: RemoteInfo): void {
    const client = `${from.address} ${from.port}`
    let session = this.#sessions.get(client)
    if (session === undefined) {
      const endpoint = this.#ring.next()
      if (endpoint === undefined) return
      // A question and its answer are a session too: those that are over must not keep others out.
      const [oldest] = this.#sessions
      if (oldest !== undefined && this.#sessions.size >= this.#sessionsMax) this.#end(...oldest)
      session = this.#open(client, endpoint, (answer) => {
        if (this.#isClosed) return
        this.#onUse(client)
        this.#socket.send(answer, from.port, from.address, () => {})
      })
    }
    this.#onUse(client)
    session.send(datagram)
  }

  /** In either direction, as conntrack has it: who has asked once may be told for long. */
  #onUse(client: string): void {
    const session = this.#sessions.get(client)
    if (session === undefined) return
    session.timer.refresh()
    this.#sessions.delete(client)
    this.#sessions.set(client, session)
  }

  #open(client: string, endpoint: PublishedEndpoint, reply: (answer: Buffer) => void): Session {
    // Its own session alone: what was opened for one that is over may fail when the client has another.
    const end = () => this.#end(client, session)
    const channel = this.#dialer.isDirect(endpoint)
      ? directChannel(endpoint, reply, end)
      : tunnelChannel(this.#dialer.open(endpoint, 'udp'), reply, end)
    const timer = setTimeout(end, UDP_IDLE_TIMEOUT_MS)
    const session: Session = { endpoint, timer, ...channel }
    this.#sessions.set(client, session)
    return session
  }

  #end(client: string, session: Session): void {
    if (this.#sessions.get(client) !== session) return
    this.#sessions.delete(client)
    clearTimeout(session.timer)
    session.close()
  }
}

type Channel = Pick<Session, 'send' | 'close'>

/** Datagrams of one client to a routed endpoint. */
const directChannel = (
  endpoint: PublishedEndpoint,
  reply: (answer: Buffer) => void,
  end: () => void,
): Channel => {
  const socket = createSocket('udp4')
  let isClosed = false
  socket.on('message', reply)
  // Refused: the endpoint is gone, the next datagram opens another session.
  socket.on('error', end)
  const pending: Buffer[] = []
  let isConnected = false
  connectDatagram(socket, endpoint.port, endpoint.addr, (error) => {
    if (isClosed) return
    if (error !== null) {
      end()
      return
    }
    isConnected = true
    for (const datagram of pending.splice(0)) if (!isClosed) socket.send(datagram)
  })
  return {
    send: (datagram) => {
      if (isConnected) socket.send(datagram)
      else if (pending.length < PENDING_MAX) pending.push(datagram)
    },
    close: () => {
      isClosed = true
      socket.close()
    },
  }
}

/** Datagrams of one client through the tunnel. */
const tunnelChannel = (
  opening: Promise<Duplex>,
  reply: (answer: Buffer) => void,
  end: () => void,
): Channel => {
  const reader = new DatagramReader()
  const pending: Buffer[] = []
  let stream: Duplex | null = null
  let isClosed = false
  opening.then((opened) => {
    if (isClosed) {
      opened.destroy()
      return
    }
    stream = opened
    opened.on('error', end)
    opened.on('close', end)
    opened.on('data', (chunk: Buffer) => {
      for (const datagram of reader.read(chunk)) reply(datagram)
    })
    for (const datagram of pending.splice(0)) opened.write(frameDatagram(datagram))
  }, end)
  return {
    send: (datagram) => {
      // UDP may lose: what can't be sent now is dropped instead of queued.
      if (stream === null) {
        if (pending.length < PENDING_MAX) pending.push(datagram)
      } else if (!stream.writableNeedDrain) stream.write(frameDatagram(datagram))
    },
    close: () => {
      isClosed = true
      stream?.destroy()
    },
  }
}
