import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet'
import type { NameIndex } from './names.ts'

/** Seconds that clients may keep an answer: tasks come and go. */
const TTL_SECONDS = 1
/** Answer size without EDNS (RFC 1035 §4.2.1), bytes. */
const UDP_BYTES_MAX = 512
/** What we ever send in a datagram, whatever the client offers (DNS flag day 2020), bytes. */
const EDNS_BYTES_MAX = 1232
/**
 * A query's size: a name, a question and EDNS options, with the padding of RFC 8467, are far less. Each of a message's names may be a chain of
 * pointers through all of it, so that the time to read it grows with the square of its size: one of 64 kB held the daemon for a second.
 */
const QUERY_BYTES_MAX = EDNS_BYTES_MAX
/** Addresses in one answer: more than that is of use to nobody and would not fit a TCP message at some point. */
const ADDRESSES_MAX = 1000

/** DNS response codes in dns-packet's flags (RFC 1035 §4.1.1). */
const RCODE = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const
type Rcode = keyof typeof RCODE
const AUTHORITATIVE = 1 << 10
const RECURSION_DESIRED = 1 << 8
const RECURSION_AVAILABLE = 1 << 7
const TRUNCATED = 1 << 9
/** Opcode bits of the flags; 0 is a standard query. */
const OPCODE_MASK = 0xf << 11

/** What to do with a query. */
export type Answer =
  | { kind: 'reply'; message: Buffer }
  /** Not ours: what upstream says goes back as it is; if there is none, `refusal`. */
  | { kind: 'forward'; refusal: Buffer; failure: Buffer }
  /** Not a DNS query: no answer. */
  | { kind: 'ignore' }

type Records = NonNullable<Packet['answers']>

const decoded = (message: Buffer): DecodedPacket | null => {
  if (message.length > QUERY_BYTES_MAX) return null
  try {
    const packet = decode(message)
    return packet.type === 'query' ? packet : null
  } catch {
    // Garbage from the network is no event.
    return null
  }
}

class Reply {
  readonly #query: DecodedPacket
  readonly #bytesMax: number

  constructor(query: DecodedPacket, transport: 'udp' | 'tcp') {
    this.#query = query
    const offered = query.additionals?.find((one) => one.type === 'OPT') as
      | { udpPayloadSize?: number }
      | undefined
    const udpMax = Math.min(
      EDNS_BYTES_MAX,
      Math.max(UDP_BYTES_MAX, offered?.udpPayloadSize ?? UDP_BYTES_MAX),
    )
    this.#bytesMax = transport === 'tcp' ? 65_535 : udpMax
  }

  /**
   * The message, or one that is cut: its mark makes the client ask by TCP. Those that don't know how (musl before 1.2.4) take what is there. All
   * answers are of one size: records of one name and type.
   */
  message(rcode: Rcode, answers: Records = []): Buffer {
    const full = this.#encode(rcode, answers, 0)
    if (full.length <= this.#bytesMax) return full
    const emptyBytes = this.#encode(rcode, [], TRUNCATED).length
    const recordBytes = (full.length - emptyBytes) / answers.length
    const fitting = Math.max(0, Math.floor((this.#bytesMax - emptyBytes) / recordBytes))
    return this.#encode(rcode, answers.slice(0, fitting), TRUNCATED)
  }

  #encode(rcode: Rcode, answers: Records, flags: number): Buffer {
    const { id, questions, flags: asked = 0 } = this.#query
    return encode({
      type: 'response',
      ...(id === undefined ? {} : { id }),
      flags:
        AUTHORITATIVE | RECURSION_AVAILABLE | (asked & RECURSION_DESIRED) | flags | RCODE[rcode],
      questions: questions ?? [],
      answers,
    })
  }
}

const reverseAddress = (name: string): string | undefined => {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name)
  return match === null ? undefined : `${match[4]}.${match[3]}.${match[2]}.${match[1]}`
}

/** The address of a name below ip6.arpa (RFC 3596 §2.5). */
const reverseAddress6 = (name: string): bigint | undefined => {
  const match = /^((?:[\da-f]\.){32})ip6\.arpa$/.exec(name)
  const digits = match?.[1]
  return digits === undefined ? undefined : BigInt(`0x${digits.split('.').reverse().join('')}`)
}

/**
 * Answers one query from a view's names. `turn` counts up with each list of addresses that is given of a name and family
 * (most clients ask for both) and rotates it, since resolvers take the first.
 */
export const answerQuery = (
  message: Buffer,
  options: {
    names: NameIndex
    source: string
    transport: 'udp' | 'tcp'
    turn: (type: 'A' | 'AAAA', name: string) => number
  },
): Answer => {
  const query = decoded(message)
  if (query === null) return { kind: 'ignore' }
  const reply = new Reply(query, options.transport)
  const say = (rcode: Rcode, answers?: Records): Answer => ({
    kind: 'reply',
    message: reply.message(rcode, answers),
  })
  if (((query.flags ?? 0) & OPCODE_MASK) !== 0) return say('notImp')
  const question = query.questions?.[0]
  if (question === undefined || query.questions?.length !== 1) return say('formErr')
  const name = question.name.toLowerCase().replace(/\.$/, '')
  const forward = (): Answer => ({
    kind: 'forward',
    // Without a dot it can only have been meant as one of ours.
    refusal: reply.message(name.includes('.') ? 'refused' : 'nxDomain'),
    failure: reply.message('servFail'),
  })

  const addr = reverseAddress(name)
  const addr6 = reverseAddress6(name)
  if (addr !== undefined || addr6 !== undefined) {
    const { names, source } = options
    const found =
      addr6 === undefined ? names.reverse(addr ?? '', source) : names.reverse6(addr6, source)
    if (found === undefined) return forward()
    if (found === null) return say('nxDomain')
    if (question.type !== 'PTR') return say('noError')
    return say('noError', [{ type: 'PTR', name: question.name, ttl: TTL_SECONDS, data: found }])
  }
  const resolution = options.names.resolve(name, options.source)
  switch (resolution.kind) {
    case 'refused':
      return say('refused')
    case 'absent':
      return say('nxDomain')
    case 'unknown':
      return forward()
    case 'addresses': {
      const { type } = question
      if (type !== 'A' && type !== 'AAAA') return say('noError')
      const addrs = type === 'A' ? resolution.addrs : resolution.addrs6
      const count = resolution.isOneOf ? 1 : ADDRESSES_MAX
      const first = addrs.length < 2 ? 0 : options.turn(type, name) % addrs.length
      const rotated = [...addrs.slice(first), ...addrs.slice(0, first)].slice(0, count)
      return say(
        'noError',
        rotated.map((data) => ({ type, name: question.name, ttl: TTL_SECONDS, data })),
      )
    }
    default:
      return resolution satisfies never
  }
}
