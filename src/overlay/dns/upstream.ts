import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { Clock } from '../../api/clock.ts'
import { connectDatagram } from '../connect-datagram.ts'

/** Milliseconds that one server gets; resolvers in containers wait 5 s in all. */
const SERVER_TIMEOUT_MS = 1500
/** Servers tried per query (resolv.conf's own limit, MAXNS). */
const SERVERS_MAX = 3
/** Queries on their way upstream; more are answered with SERVFAIL at once. */
const IN_FLIGHT_MAX = 512
const DNS_PORT = 53
/** Where a message has its response code (RFC 1035 §4.1.1). */
const RCODE_BYTE = 3
const RCODE_MASK = 0x0f
const RCODE_SERVFAIL = 2
const RCODE_REFUSED = 5
const MESSAGE_BYTES_MAX = 65_535

/** The nameservers of a resolv.conf. Pure. */
export const nameservers = (resolvConf: string): string[] =>
  resolvConf
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter((one) => one !== undefined)
    .slice(0, SERVERS_MAX)

/** The search domains of a resolv.conf: the last line that names any (resolv.conf(5)). Pure. */
export const searchDomains = (resolvConf: string): string[] => {
  const lines = resolvConf.split('\n').flatMap((line) => {
    const match = /^\s*(?:search|domain)\s+([^#;]*)/.exec(line)
    return match?.[1] === undefined ? [] : [match[1]]
  })
  return (lines.at(-1) ?? '').split(/\s+/).filter((one) => one !== '' && one !== '.')
}

/** Answers after which the next server is asked, as the Engine's resolver does: the trouble may be this server's alone. */
const IS_NO_ANSWER: ReadonlySet<number> = new Set([RCODE_SERVFAIL, RCODE_REFUSED])

const hasNoAnswer = (message: Buffer): boolean =>
  message.length > RCODE_BYTE && IS_NO_ANSWER.has((message[RCODE_BYTE] ?? 0) & RCODE_MASK)

/** What came of asking upstream. */
export type UpstreamAnswer =
  | { kind: 'message'; message: Buffer }
  /** No server is configured or none can be reached: known at once. */
  | { kind: 'none' }
  | { kind: 'failed' }

/** Passes queries on to the host's nameservers, unchanged. */
export class Upstream {
  readonly #clock: Clock
  readonly #servers: () => Promise<string[]>
  readonly #port: number
  #inFlight = 0

  /** `port`: of the servers, where it is not DNS's. */
  constructor(deps: { clock: Clock; servers: () => Promise<string[]> }, port = DNS_PORT) {
    this.#clock = deps.clock
    this.#servers = deps.servers
    this.#port = port
  }

  /** Asks the servers, or the host's own, one after the other. */
  async ask(
    message: Buffer,
    transport: 'udp' | 'tcp',
    servers?: readonly string[],
  ): Promise<UpstreamAnswer> {
    if (this.#inFlight >= IN_FLIGHT_MAX) return { kind: 'failed' }
    this.#inFlight++
    try {
      const list = servers ?? (await this.#servers())
      let isReachable = false
      let refusal: Buffer | undefined
      for (const server of list.slice(0, SERVERS_MAX)) {
        const answer = await (transport === 'udp'
          ? this.#askUdp(message, server)
          : this.#askTcp(message, server))
        if (answer === 'silent') isReachable = true
        if (!Buffer.isBuffer(answer)) continue
        if (!hasNoAnswer(answer)) return { kind: 'message', message: answer }
        refusal = answer
      }
      if (refusal !== undefined) return { kind: 'message', message: refusal }
      return { kind: isReachable ? 'failed' : 'none' }
    } finally {
      this.#inFlight--
    }
  }

  #askUdp(message: Buffer, server: string): Promise<Buffer | 'silent' | 'unreachable'> {
    const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4')
    return new Promise((resolve) => {
      let isDone = false
      const done = (answer: Buffer | 'silent' | 'unreachable') => {
        if (isDone) return
        isDone = true
        cancel()
        socket.close()
        resolve(answer)
      }
      const cancel = this.#clock.schedule(SERVER_TIMEOUT_MS, () => done('silent'))
      socket.on('error', () => done('unreachable'))
      // The answer must be to this query: same id. The connected socket lets only the server's packets in.
      socket.on('message', (answer) => {
        if (answer.length >= 2 && answer.readUInt16BE(0) === message.readUInt16BE(0)) done(answer)
      })
      // The callback gets the error when there is no route; a send that fails emits one.
      connectDatagram(socket, this.#port, server, (error) => {
        if (error !== null) done('unreachable')
        else if (!isDone) socket.send(message)
      })
    })
  }

  #askTcp(message: Buffer, server: string): Promise<Buffer | 'silent' | 'unreachable'> {
    const socket = connect({ host: server, port: this.#port })
    return new Promise((resolve) => {
      let received = Buffer.alloc(0)
      const done = (answer: Buffer | 'silent' | 'unreachable') => {
        cancel()
        socket.destroy()
        resolve(answer)
      }
      const cancel = this.#clock.schedule(SERVER_TIMEOUT_MS, () => done('silent'))
      socket.on('error', () => done('unreachable'))
      socket.on('close', () => done('unreachable'))
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        const length = received.length >= 2 ? received.readUInt16BE(0) : MESSAGE_BYTES_MAX
        if (received.length >= length + 2) done(received.subarray(2, length + 2))
      })
      socket.write(withLength(message))
    })
  }
}

/** A message as TCP carries it (RFC 1035 §4.2.2). */
export const withLength = (message: Buffer): Buffer => {
  const framed = Buffer.allocUnsafe(message.length + 2)
  framed.writeUInt16BE(message.length, 0)
  message.copy(framed, 2)
  return framed
}
