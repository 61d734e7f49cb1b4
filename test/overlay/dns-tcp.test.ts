/** DNS by TCP, on sockets of loopback: what a client that sends much, or reads nothing, may cost. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { decode, encode } from 'dns-packet'
import t, { type Test } from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import type { Log } from '../../src/api/log.ts'
import { NameIndex } from '../../src/overlay/dns/names.ts'
import { DnsServer } from '../../src/overlay/dns/server.ts'
import { serveTcpClient } from '../../src/overlay/dns/tcp-client.ts'
import { Upstream, withLength } from '../../src/overlay/dns/upstream.ts'
import { network, service, view } from '../support/overlay/views.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const clock: Clock = { nowMs: () => 0, schedule: () => () => {} }

/** Queries that one client sends at once: fewer bytes than one read takes. */
const QUERIES = 1500

const query = (id: number, name = 'web') =>
  encode({ type: 'query', id, flags: 256, questions: [{ type: 'A', name }] })

const pipelined = (count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, at) => withLength(query(at))))

/** A client of `serveTcpClient`, and the server's end of its connection. */
const connected = async (
  t: Test,
  answer: (message: Buffer, socket: Socket) => Promise<Buffer | null>,
  options: { idleTimeoutMs?: number } = {},
) => {
  const server = createServer({ allowHalfOpen: true })
  const over = once(server, 'connection').then(([socket]) =>
    serveTcpClient(socket, (message) => answer(message, socket), options),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  t.teardown(() => void client.destroy())
  return { client, over }
}

/** Ids of the answers on a stream that ended. */
const idsOf = async (client: Socket): Promise<number[]> => {
  let received: Buffer = Buffer.concat((await client.toArray()) as Buffer[])
  const ids: number[] = []
  while (received.length > 0) {
    ids.push(received.readUInt16BE(2))
    received = received.subarray(2 + received.readUInt16BE(0))
  }
  return ids
}

/** How often `count` was called in one turn of the event loop at most. */
const perTurn = (t: Test) => {
  let [inTurn, most, isOver] = [0, 0, false]
  const next = () => {
    inTurn = 0
    if (!isOver) setImmediate(next)
  }
  next()
  t.teardown(() => {
    isOver = true
  })
  const count = () => {
    inTurn++
    most = Math.max(most, inTurn)
  }
  return { count, most: () => most }
}

t.test('queries are answered in their order, one at a time, and one in a turn', async (t) => {
  let [underWay, most] = [0, 0]
  const turns = perTurn(t)
  const { client, over } = await connected(t, async (message) => {
    turns.count()
    underWay++
    most = Math.max(most, underWay)
    // Every third takes longer than those behind it would.
    if (message.readUInt16BE(0) % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    underWay--
    return message
  })
  // Who has asked everything still gets its answers.
  client.end(pipelined(QUERIES))
  const ids = await idsOf(client)
  t.strictSame(
    ids,
    Array.from({ length: QUERIES }, (_, at) => at),
  )
  t.equal(most, 1)
  t.ok(turns.most() <= 2, 'a turn of the test may begin within one of the server')
  await over
})

t.test('messages in pieces, an empty one, and one that gets no answer', async (t) => {
  const { client } = await connected(t, async (message) =>
    message.length === 0 || message.readUInt16BE(0) === 2 ? null : message,
  )
  client.setNoDelay(true)
  const bytes = Buffer.concat([Buffer.alloc(2), pipelined(5)])
  for (const byte of bytes) {
    client.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  client.end()
  t.strictSame(await idsOf(client), [0, 1, 3, 4])
})

t.test('a client that does not read is asked for no more, and closed', async (t) => {
  let [answered, unwritten] = [0, 0]
  const large = Buffer.alloc(65_000)
  const { client, over } = await connected(
    t,
    async (_, socket) => {
      answered++
      unwritten = Math.max(unwritten, socket.writableLength)
      return large
    },
    { idleTimeoutMs: 50 },
  )
  client.pause()
  client.write(pipelined(20_000))
  await over
  t.ok(answered > 0 && answered < 10_000, `${answered} answers are what the kernel holds`)
  t.equal(unwritten, 0, 'an answer begins when the one before is written')
})

t.test('a client that sends many queries at once delays no other', async (t) => {
  const names = new NameIndex(
    view({
      networks: [network('front', 1, '127.0.0.0/16')],
      services: [service('web', { vips: [{ networkId: 'front', addr: '127.0.9.9' }] })],
    }),
    'kernel',
  )
  const free = createSocket('udp4')
  await new Promise<void>((resolve) => free.bind(0, '127.0.0.6', resolve))
  const { port } = free.address()
  free.close()
  const turns = perTurn(t)
  const other = createSocket('udp4')
  t.teardown(() => void other.close())
  let asked = 0
  const source = {
    names: () => {
      turns.count()
      asked++
      if (asked === 1) other.send(query(7), port, '127.0.0.6')
      return names
    },
    resolverOf: () => undefined,
    nameserversOf: () => [],
  }
  const upstream = new Upstream({ clock, servers: async () => [] }, 9)
  const server = new DnsServer({ clock, log, upstream, source }, port)
  t.teardown(() => server.close())
  await server.serve(new Set(['127.0.0.6']))
  const client = connect(port, '127.0.0.6')
  t.teardown(() => void client.destroy())
  client.end(pipelined(QUERIES))
  const answers = idsOf(client)
  const [answer] = (await once(other, 'message')) as [Buffer]
  t.match(decode(answer).answers, [{ data: '127.0.9.9' }])
  t.ok(asked < QUERIES, `it was answered among them, after ${asked}`)
  t.equal((await answers).length, QUERIES)
  t.ok(
    turns.most() <= 4,
    `${turns.most()} in a turn: one of each client's, at its end and its begin`,
  )
})

t.test('one container’s connections leave room for those of others', async (t) => {
  const names = new NameIndex(view({ networks: [network('front', 1, '127.0.0.0/16')] }), 'kernel')
  const source = { names: () => names, resolverOf: () => undefined, nameserversOf: () => [] }
  const upstream = new Upstream({ clock, servers: async () => [] }, 9)
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const server = new DnsServer({ clock, log, upstream, source }, port)
  t.teardown(() => server.close())
  await server.serve(new Set(['127.0.0.1']))
  const open = (localAddress: string) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    socket.on('error', () => {})
    t.teardown(() => void socket.destroy())
    return socket
  }
  /** Whether a connection is served: connections are taken in their order. */
  const isAnswered = async (localAddress: string): Promise<boolean> => {
    const socket = open(localAddress)
    socket.end(withLength(query(7)))
    return (await idsOf(socket).catch((): number[] => [])).includes(7)
  }
  const held = Array.from({ length: 256 }, () => open('127.0.0.1'))
  t.notOk(await isAnswered('127.0.0.1'), 'it has as many as it gets')
  t.ok(await isAnswered('127.0.0.8'))
  for (const socket of held) socket.destroy()
  while (!(await isAnswered('127.0.0.1'))) await new Promise((resolve) => setImmediate(resolve))
  t.pass('those that ended make room')
})
