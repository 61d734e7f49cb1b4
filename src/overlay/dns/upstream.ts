import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { Clock } from '../../api/clock.ts'
import { connectDatagram } from '../connect-datagram.ts'
import type { EngineResolver } from '../name-clients.ts'
import { SourceLimit } from './source-limit.ts'

/** Milliseconds that one server gets; resolvers in containers wait 5 s in all. */
const SERVER_TIMEOUT_MS = 1500
/** Milliseconds for the Engine's resolver, which asks its servers one after the other, 4 s each (libnetwork `extIOTimeout`). */
const ENGINE_TIMEOUT_MS = 10_000
/** Servers tried per query (resolv.conf's own limit, MAXNS). */
const SERVERS_MAX = 3
/** Queries on their way upstream; more are answered with SERVFAIL at once. */
const IN_FLIGHT_MAX = 512
/**
 * Of one container: an eighth, so that one whose names have silent servers leaves the others theirs. With servers that answer in 20 ms
 * these are 3,200 questions a second.
 */
const IN_FLIGHT_PER_SOURCE_MAX = 64
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

type Transport = 'udp' | 'tcp'

/** What a container asks. */
export interface Question {
  message: Buffer
  transport: Transport
  /** Its address. */
  source: string
}

type ServerAnswer = Buffer | 'silent' | 'unreachable'

interface Server {
  address: string
  port: number
  timeoutMs: number
}

/** Passes queries on to the host's nameservers, unchanged. */
export class Upstream {
  readonly #clock: Clock
  readonly #servers: () => Promise<string[]>
  readonly #port: number
  readonly #inFlight = new SourceLimit({
    max: IN_FLIGHT_MAX,
    maxPerSource: IN_FLIGHT_PER_SOURCE_MAX,
  })

  /** `port`: of the servers, where it is not DNS's. */
  constructor(deps: { clock: Clock; servers: () => Promise<string[]> }, port = DNS_PORT) {
    this.#clock = deps.clock
    this.#servers = deps.servers
    this.#port = port
  }

  /** Asks the servers, or the host's own, one after the other. */
  ask(question: Question, servers?: readonly string[]): Promise<UpstreamAnswer> {
    return this.#bounded(question, async () => {
      const list = servers ?? (await this.#servers())
      let isReachable = false
      let refusal: Buffer | undefined
      for (const address of list.slice(0, SERVERS_MAX)) {
        const server = { address, port: this.#port, timeoutMs: SERVER_TIMEOUT_MS }
        const answer = await this.#askOne(question, server)
        if (answer === 'silent') isReachable = true
        if (!Buffer.isBuffer(answer)) continue
        if (!hasNoAnswer(answer)) return { kind: 'message', message: answer }
        refusal = answer
      }
      if (refusal !== undefined) return { kind: 'message', message: refusal }
      return { kind: isReachable ? 'failed' : 'none' }
    })
  }

  /** Asks the Engine's resolver in a container, and waits as long as that may ask others. */
  askEngine(question: Question, { address, ports }: EngineResolver): Promise<UpstreamAnswer> {
    return this.#bounded(question, async () => {
      const server = { address, port: ports[question.transport], timeoutMs: ENGINE_TIMEOUT_MS }
      const answer = await this.#askOne(question, server)
      return Buffer.isBuffer(answer) ? { kind: 'message', message: answer } : { kind: 'failed' }
    })
  }

  async #bounded(
    { source }: Question,
    ask: () => Promise<UpstreamAnswer>,
  ): Promise<UpstreamAnswer> {
    if (!this.#inFlight.take(source)) return { kind: 'failed' }
    try {
      return await ask()
    } finally {
      this.#inFlight.giveBack(source)
    }
  }

  #askOne({ message, transport }: Question, server: Server): Promise<ServerAnswer> {
    return transport === 'udp' ? this.#askUdp(message, server) : this.#askTcp(message, server)
  }

  #askUdp(message: Buffer, { address, port, timeoutMs }: Server): Promise<ServerAnswer> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    return new Promise((resolve) => {
      let isDone = false
      const done = (answer: ServerAnswer) => {
        if (isDone) return
        isDone = true
        cancel()
        socket.close()
        resolve(answer)
      }
      const cancel = this.#clock.schedule(timeoutMs, () => done('silent'))
      socket.on('error', () => done('unreachable'))
      // The answer must be to this query: same id. The connected socket lets only the server's packets in.
      socket.on('message', (answer) => {
        if (answer.length >= 2 && answer.readUInt16BE(0) === message.readUInt16BE(0)) done(answer)
      })
      // The callback gets the error when there is no route; a send that fails emits one.
      connectDatagram(socket, port, address, (error) => {
        if (error !== null) done('unreachable')
        else if (!isDone) socket.send(message)
      })
    })
  }

  #askTcp(message: Buffer, { address, port, timeoutMs }: Server): Promise<ServerAnswer> {
    const socket = connect({ host: address, port })
    return new Promise((resolve) => {
      let received = Buffer.alloc(0)
      const done = (answer: ServerAnswer) => {
        cancel()
        socket.destroy()
        resolve(answer)
      }
      const cancel = this.#clock.schedule(timeoutMs, () => done('silent'))
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
