/** The DNS server and the servers that it asks, on sockets of loopback. */
import { createSocket, type Socket } from 'node:dgram'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { decode, encode, type Packet } from 'dns-packet'
import t from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import type { Log } from '../../src/api/log.ts'
import type { OverlayView } from '../../src/api/overlay-view.ts'
import { NameIndex } from '../../src/overlay/dns/names.ts'
import { DnsServer } from '../../src/overlay/dns/server.ts'
import { Upstream, type UpstreamAnswer } from '../../src/overlay/dns/upstream.ts'
import type { EngineResolver } from '../../src/overlay/name-clients.ts'
import { endpoint, network, service, view } from '../support/overlay/views.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }

const query = (name: string) =>
  encode({ type: 'query', id: 7, flags: 256, questions: [{ type: 'A', name }] })

/** Nothing here takes time. */
const clock: Clock = { nowMs: () => 0, schedule: () => () => {} }

const open = async (address: string, port = 0): Promise<Socket> => {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(port, address, resolve))
  t.teardown(() => void socket.close())
  return socket
}

/** A server that answers with a response code, or that says nothing. */
const answering = (socket: Socket, rcode: number | null) => {
  const asked: string[] = []
  socket.on('message', (message, { port, address }) => {
    const packet = decode(message)
    asked.push(packet.questions?.[0]?.name ?? '')
    if (rcode === null) return
    const { id, questions } = packet
    const data = { type: 'A' as const, name: 'x', data: '192.0.2.1' }
    const answers = rcode === 0 ? [data] : []
    const response = { type: 'response', id, flags: rcode, questions, answers } as Packet
    socket.send(encode(response), port, address)
  })
  return asked
}

const rcodeOf = (answer: UpstreamAnswer) =>
  answer.kind === 'message' ? (decode(answer.message) as { rcode?: string }).rcode : answer.kind

t.test('a server that fails or refuses is no reason not to ask the next', async (t) => {
  const first = await open('127.0.0.2')
  const { port } = first.address() as AddressInfo
  const second = await open('127.0.0.3', port)
  const third = await open('127.0.0.4', port)
  answering(first, 2)
  answering(second, 5)
  const asked = answering(third, 0)
  const upstream = new Upstream({ clock, servers: async () => [] }, port)
  const ask = async (...servers: string[]) =>
    rcodeOf(
      await upstream.ask({ message: query('a.b'), transport: 'udp', source: '10.1.1.1' }, servers),
    )
  t.equal(await ask('127.0.0.2', '127.0.0.3', '127.0.0.4'), 'NOERROR')
  t.equal(await ask('127.0.0.4', '127.0.0.2'), 'NOERROR')
  t.equal(asked.length, 2)
  t.equal(await ask('127.0.0.2', '127.0.0.3'), 'REFUSED', 'what the last one said')
  t.equal(await ask(), 'none', 'nobody may be asked')
})

/** A server for who asks from loopback; `servers` are what the task was given, `resolver` is the Engine's in its container. */
const serverFor = async (
  of: OverlayView,
  upstreamPort: number,
  servers: readonly string[],
  resolver?: EngineResolver,
) => {
  const { port } = (await open('127.0.0.5')).address() as AddressInfo
  const names = new NameIndex(of, 'kernel')
  const upstream = new Upstream({ clock, servers: async () => ['127.0.0.2'] }, upstreamPort)
  const source = {
    names: () => names,
    resolverOf: (from: string) => (from === '127.0.0.1' ? resolver : undefined),
    nameserversOf: () => servers,
  }
  const server = new DnsServer({ clock, log, upstream, source }, port)
  t.teardown(() => server.close())
  await server.serve(new Set(['127.0.0.1']))
  const client = await open('127.0.0.1')
  return async (name: string) => {
    const answer = new Promise<Buffer>((resolve) => client.once('message', resolve))
    client.send(query(name), port, '127.0.0.1')
    return decode(await answer) as Packet & { rcode?: string }
  }
}

t.test('two names that are asked in turn still rotate each', async (t) => {
  const dnsrr = (id: string) =>
    service(id, { mode: 'dnsrr', aliases: [{ networkId: 'front', names: [] }] })
  const ask = await serverFor(
    view({
      networks: [network('front', 1, '127.0.0.0/16')],
      services: [dnsrr('a'), dnsrr('b')],
      endpoints: ['a', 'b'].flatMap((id, at) => [
        endpoint(`${id}1`, id, 'n1', { front: `127.0.1.${at}` }),
        endpoint(`${id}2`, id, 'n1', { front: `127.0.2.${at}` }),
      ]),
    }),
    9,
    [],
  )
  const first = async (name: string) => {
    const { answers = [] } = await ask(name)
    return (answers[0] as { data?: unknown }).data
  }
  const seen = new Set<unknown>()
  for (let round = 0; round < 4; round++) {
    seen.add(await first('a'))
    await first('b')
  }
  t.strictSame([...seen].sort(), ['127.0.1.0', '127.0.2.0'])
})

t.test('questions of an internal network go to servers on it, and no further', async (t) => {
  const host = await open('127.0.0.2')
  const { port } = host.address() as AddressInfo
  const asked = answering(host, 0)
  const internal = (subnet: string, isInternal: boolean) =>
    view({ networks: [network('vault', 1, subnet, { internal: isInternal })] })
  const closed = await serverFor(internal('127.0.0.1/32', true), port, ['127.0.0.2'])
  t.equal((await closed('secret.example.com')).rcode, 'REFUSED')
  t.equal((await closed('secret')).rcode, 'NXDOMAIN')
  const byHost = await serverFor(internal('127.0.0.0/16', true), port, [])
  t.equal((await byHost('secret.example.com')).rcode, 'REFUSED')
  t.strictSame(asked, [])
  const own = await serverFor(internal('127.0.0.0/16', true), port, ['127.0.0.2'])
  t.equal((await own('x.example.com')).rcode, 'NOERROR')
  const openNet = await serverFor(internal('127.0.0.0/16', false), port, [])
  t.equal((await openNet('y.example.com')).rcode, 'NOERROR')
  t.strictSame(asked, ['x.example.com', 'y.example.com'])
})

t.test('what is not ours goes to the Engine’s resolver of a container that has one', async (t) => {
  const engine = await open('127.0.0.2')
  const { port: udp } = engine.address() as AddressInfo
  const asked = answering(engine, 0)
  const vault = view({
    networks: [network('vault', 1, '127.0.0.0/16', { internal: true })],
    services: [service('db', { vips: [{ networkId: 'vault', addr: '127.0.9.9' }] })],
    endpoints: [endpoint('db1', 'db', 'n1', { vault: '127.0.1.1' })],
  })
  const ports = { udp, tcp: 1 }
  const ask = await serverFor(vault, 9, ['127.0.0.3'], { address: '127.0.0.2', ports })
  t.match((await ask('db')).answers, [{ data: '127.0.9.9' }])
  t.equal((await ask('neighbour')).rcode, 'NOERROR', 'whether it may ask others, the Engine knows')
  t.strictSame(asked, ['neighbour'])
})

t.test(
  'one container whose names have silent servers leaves the outside to the others',
  async (t) => {
    const silent = await open('127.0.0.2')
    const { port } = silent.address() as AddressInfo
    answering(await open('127.0.0.3', port), 0)
    // As fast as the server takes it, or a socket's buffer would be too small: each question is passed on or fails at once.
    let onTaken = () => {}
    let passedOn = 0
    silent.on('message', () => {
      passedOn++
      onTaken()
    })
    const timers: (() => void)[] = []
    const scheduling: Clock = {
      nowMs: () => 0,
      schedule: (_, run) => {
        timers.push(run)
        return () => {}
      },
    }
    const names = new NameIndex(view({ networks: [network('front', 1, '127.0.0.0/16')] }), 'kernel')
    const upstream = new Upstream({ clock: scheduling, servers: async () => [] }, port)
    const source = {
      names: () => names,
      resolverOf: () => undefined,
      nameserversOf: (from: string) => [from === '127.0.0.1' ? '127.0.0.2' : '127.0.0.3'],
    }
    const { port: at } = (await open('127.0.0.5')).address() as AddressInfo
    const server = new DnsServer({ clock, log, upstream, source }, at)
    t.teardown(() => server.close())
    await server.serve(new Set(['127.0.0.1']))
    const greedy = await open('127.0.0.1')
    greedy.on('message', () => onTaken())
    const ask = async () => {
      const taken = new Promise<void>((resolve) => {
        onTaken = resolve
      })
      greedy.send(query('a.example.com'), at, '127.0.0.1')
      await taken
    }
    for (let count = 0; count < 512; count++) await ask()
    t.equal(passedOn, 64, 'what a container has under way at most')
    const other = await open('127.0.0.8')
    const answer = new Promise<Buffer>((resolve) => other.once('message', resolve))
    other.send(query('b.example.com'), at, '127.0.0.1')
    t.equal((decode(await answer) as { rcode?: string }).rcode, 'NOERROR')

    const over = new Promise<void>((resolve) => {
      let left = 64
      onTaken = () => void (--left === 0 && resolve())
    })
    for (const end of timers) end()
    await over
    await ask()
    t.equal(passedOn, 65, 'what is over makes room')
    for (const end of timers) end()
  },
)

/** Something else on a port of this address, by one transport. */
const held = async (transport: 'udp' | 'tcp', address: string) => {
  if (transport === 'udp') {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, address, resolve))
    return { port: socket.address().port, release: () => void socket.close() }
  }
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  return { port: (server.address() as AddressInfo).port, release: () => void server.close() }
}

for (const transport of ['udp', 'tcp'] as const) {
  t.test(`a port that another has by ${transport}: no try keeps a descriptor`, async (t) => {
    const { port, release } = await held(transport, '127.0.0.7')
    let retry = () => {}
    let onFailed = () => {}
    const waiting: Clock = {
      nowMs: () => 0,
      schedule: (_, run) => {
        retry = run
        onFailed()
        return () => {}
      },
    }
    const names = new NameIndex(view({}), 'kernel')
    const source = { names: () => names, resolverOf: () => undefined, nameserversOf: () => [] }
    const upstream = new Upstream({ clock, servers: async () => [] }, 9)
    const server = new DnsServer({ clock: waiting, log, upstream, source }, port)
    t.teardown(() => server.close())
    await server.serve(new Set(['127.0.0.7']))
    const descriptors = () => readdirSync('/proc/self/fd').length
    const before = descriptors()
    for (let round = 0; round < 5; round++) {
      const failed = new Promise<void>((resolve) => {
        onFailed = resolve
      })
      retry()
      await failed
    }
    t.equal(descriptors(), before)
    t.match(server.problems(), [/port 53 of 127\.0\.0\.7 is taken by another DNS server/])
    release()
    retry()
    while (server.problems().length > 0) await new Promise((resolve) => setImmediate(resolve))
    const client = await open('127.0.0.1')
    const answer = new Promise<Buffer>((resolve) => client.once('message', resolve))
    client.send(query('x'), port, '127.0.0.7')
    t.equal((decode(await answer) as { rcode?: string }).rcode, 'REFUSED')
  })
}
