/** Names as containers see them: scope, kinds of answers, sizes, what goes upstream. */
import { decode, encode, type Packet, type RecordType } from 'dns-packet'
import t from 'tap'
import { answerQuery } from '../../src/overlay/dns/answer.ts'
import { NameIndex } from '../../src/overlay/dns/names.ts'
import { nameservers, searchDomains } from '../../src/overlay/dns/upstream.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const of = view({
  nodes: [node(1), node(2), node(3, { live: false })],
  networks: [
    network('front', 1, '10.1.0.0/16'),
    network('back', 2, '10.2.0.0/16'),
    network('ingress', 3, '10.3.0.0/16', { ingress: true }),
  ],
  services: [
    service('web', {
      name: 'Web',
      vips: [{ networkId: 'front', addr: '10.1.0.5' }],
      aliases: [{ networkId: 'front', names: ['www', 'shared'] }],
    }),
    service('other', {
      vips: [{ networkId: 'front', addr: '10.1.0.6' }],
      aliases: [{ networkId: 'front', names: ['shared'] }],
    }),
    service('db', { mode: 'dnsrr', aliases: [{ networkId: 'back', names: [] }] }),
  ],
  endpoints: [
    endpoint('web1', 'web', 'n1', { ingress: '10.3.1.20', front: '10.1.1.20' }),
    endpoint('web2', 'web', 'n2', { front: '10.1.2.20' }, { state: 'draining' }),
    endpoint('web3', 'web', 'n3', { front: '10.1.3.20' }),
    endpoint('web4', 'web', 'n2', { front: '10.1.2.21', back: '10.2.2.21' }),
    endpoint('db1', 'db', 'n1', { back: '10.2.1.30' }),
    endpoint('db2', 'db', 'n2', { back: '10.2.2.30' }),
  ],
})
const kernel = new NameIndex(of, 'kernel')
const onFront = '10.1.1.20'
const onBack = '10.2.1.30'

const query = (name: string, type: RecordType = 'A', more: Partial<Packet> = {}) =>
  encode({ type: 'query', id: 77, flags: 256, questions: [{ type, name }], ...more })

const ask = (
  name: string,
  source: string,
  options: { type?: RecordType; turn?: number; names?: NameIndex } = {},
) => {
  const answer = answerQuery(query(name, options.type), {
    names: options.names ?? kernel,
    source,
    transport: 'udp',
    turn: () => options.turn ?? 0,
  })
  if (answer.kind !== 'reply') return answer.kind
  const packet = decode(answer.message) as unknown as Packet & { rcode: string }
  const data = (packet.answers ?? []).map((one) => (one as { data: unknown }).data)
  return packet.rcode === 'NOERROR' ? data : packet.rcode
}

t.test('what a name stands for', async (t) => {
  const cases: [string, string, unknown][] = [
    ['web', onFront, ['10.1.0.5']],
    ['WEB', onFront, ['10.1.0.5']],
    ['www', onFront, ['10.1.0.5']],
    ['web.front', onFront, ['10.1.0.5']],
    ['web.swarmctl.internal', onFront, ['10.1.0.5']],
    ['nosuch.swarmctl.internal', onFront, 'NXDOMAIN'],
    ['tasks.web', onFront, ['10.1.1.20', '10.1.2.21']],
    ['tasks.www', onFront, ['10.1.1.20', '10.1.2.21']],
    ['tasks.WWW.front', onFront, ['10.1.1.20', '10.1.2.21']],
    ['tasks.shared', onFront, ['10.1.1.20', '10.1.2.21']],
    ['web2', onFront, ['10.1.2.20']],
    ['db', onBack, ['10.2.1.30', '10.2.2.30']],
    ['tasks.db', onBack, ['10.2.1.30', '10.2.2.30']],
    ['web', onBack, ['10.2.2.21']],
    ['db', onFront, 'forward'],
    ['db', '10.1.2.21', ['10.2.1.30', '10.2.2.30']],
    ['web', '10.1.2.21', ['10.1.0.5']],
    ['web', '10.1.200.200', ['10.1.0.5']],
    ['web', '10.3.1.20', ['10.1.0.5']],
    ['example.com', onFront, 'forward'],
    ['web', '172.17.0.2', 'REFUSED'],
  ]
  for (const [name, source, wanted] of cases) {
    t.strictSame(ask(name, source), wanted, `${name} from ${source}`)
  }
  const shared = ask('shared', onFront, { turn: 1 })
  t.ok(Array.isArray(shared) && shared.length === 1, 'a balanced alias of two services')
})

t.test(
  'a container on two networks, which is no task: names of both, and its own on each',
  async (t) => {
    const by = { containerId: 'c1' }
    const names = new NameIndex(
      view({
        nodes: [node(1), node(2)],
        networks: [network('front', 1, '10.1.0.0/16'), network('back', 2, '10.2.0.0/16')],
        services: [],
        endpoints: [
          endpoint('a1', '', 'n1', { front: '10.1.1.9' }, { ...by, hostname: 'alone' }),
          endpoint('a2', '', 'n1', { back: '10.2.1.9' }, { ...by, hostname: 'alone' }),
          endpoint('a3', '', 'n2', { back: '10.2.2.9' }, { ...by, hostname: 'other' }),
          endpoint('a4', '', 'n2', { front: '10.1.2.9' }, { containerId: 'c2', hostname: 'third' }),
        ],
      }),
      'kernel',
    )
    t.strictSame(ask('other', '10.1.1.9', { names }), ['10.2.2.9'])
    t.strictSame(ask('third', '10.2.1.9', { names }), ['10.1.2.9'])
    t.strictSame(ask('alone', '10.2.2.9', { names }), ['10.2.1.9'])
    t.equal(
      ask('third', '10.2.2.9', { names }),
      'forward',
      'the same id on another node is another',
    )
  },
)

t.test('names that the Engine has for containers are found from every node', (t) => {
  const names = new NameIndex(
    view({
      networks: [network('front', 1, '10.1.0.0/16'), network('back', 2, '10.2.0.0/16')],
      services: [service('s1', { name: 'Web', vips: [{ networkId: 'front', addr: '10.1.0.5' }] })],
      endpoints: [
        endpoint('t1', 's1', 'n1', { front: '10.1.1.2' }, { hostname: '', slot: 1 }),
        endpoint(
          't2',
          's1',
          'n2',
          { front: '10.1.2.2', back: '10.2.2.2' },
          { hostname: '', slot: 2, shortId: '0123456789ab' },
        ),
        endpoint('t3', 's1', 'n3', { front: '10.1.3.2' }, { hostname: '' }),
      ],
    }),
    'kernel',
  )
  const from = (source: string, name: string) => ask(name, source, { names })
  t.strictSame(from('10.1.1.2', 'web.2.t2'), ['10.1.2.2'])
  t.strictSame(from('10.1.1.2', 'Web.2.t2.front'), ['10.1.2.2'])
  t.strictSame(from('10.1.1.2', 'web.n3.t3'), ['10.1.3.2'], 'of a global service')
  t.strictSame(from('10.1.1.2', '0123456789ab'), ['10.1.2.2'], 'what a container calls itself')
  t.strictSame(from('10.2.2.2', '0123456789AB'), ['10.2.2.2'], 'on the network that is asked')
  for (const name of ['web.1.t2', 'web.2.t4', 't2', '0123456789ac', 'web.2.t2.back'])
    t.equal(from('10.1.1.2', name), 'forward', name)
  const ptr = ask('2.2.1.10.in-addr.arpa', '10.1.1.2', { names, type: 'PTR' })
  t.strictSame(ptr, ['web.2.t2.front'])
  t.end()
})

t.test('an alias that is the name of another service: both answer, on every node', (t) => {
  const a = service('a', {
    vips: [{ networkId: 'front', addr: '10.1.0.5' }],
    aliases: [{ networkId: 'front', names: ['B'] }],
  })
  const b = service('b', { vips: [{ networkId: 'front', addr: '10.1.0.6' }] })
  for (const services of [
    [a, b],
    [b, a],
  ]) {
    const networks = [network('front', 1, '10.1.0.0/16')]
    const names = new NameIndex(view({ networks, services }), 'kernel')
    const turns = [0, 1].flatMap((turn) => ask('b', onFront, { names, turn }))
    t.strictSame(turns.sort(), ['10.1.0.5', '10.1.0.6'])
    t.strictSame(ask('a', onFront, { names, turn: 1 }), ['10.1.0.5'])
  }
  t.end()
})

t.test('who is on internal networks alone reaches nobody outside', (t) => {
  const names = new NameIndex(
    view({
      networks: [
        network('front', 1, '10.1.0.0/16'),
        network('vault', 2, '10.2.0.0/16', { internal: true }),
      ],
      endpoints: [
        endpoint('in', 's', 'n1', { vault: '10.2.1.2' }),
        endpoint('both', 's', 'n1', { vault: '10.2.1.3', front: '10.1.1.3' }),
        endpoint('hand', '', 'n1', { vault: '10.2.1.4' }, { containerId: 'c1' }),
      ],
    }),
    'kernel',
  )
  t.equal(names.reachesOutside('10.2.1.2'), false)
  t.equal(names.reachesOutside('10.2.1.9'), false, 'nobody that is known yet')
  t.equal(names.reachesOutside('10.2.1.3'), true)
  t.equal(names.reachesOutside('10.1.1.3'), true)
  t.equal(names.reachesOutside('10.2.1.4'), true, 'the Engine may have it on others as well')
  t.strictSame(names.ownServers('10.2.1.2', ['9.9.9.9', '10.2.0.7', '10.1.0.7', 'fd00::1']), [
    '10.2.0.7',
  ])
  t.end()
})

t.test('addresses rotate; without VIPs one ready task at a time', async (t) => {
  t.strictSame(ask('tasks.web', onFront, { turn: 1 }), ['10.1.2.21', '10.1.1.20'])
  const names = new NameIndex(of, 'proxy')
  t.strictSame(ask('web', onFront, { names }), ['10.1.1.20'])
  t.strictSame(ask('web', onFront, { names, turn: 1 }), ['10.1.2.21'])
  t.equal((ask('db', onBack, { names }) as unknown[]).length, 2, 'dnsrr asks for all')
})

t.test('other record types', async (t) => {
  t.strictSame(ask('web', onFront, { type: 'AAAA' }), [], 'no data, not: no such name')
  t.equal(ask('example.com', onFront, { type: 'AAAA' }), 'forward')
  const reverse = (addr: string, source = onFront) =>
    ask(`${addr.split('.').reverse().join('.')}.in-addr.arpa`, source, { type: 'PTR' })
  t.strictSame(reverse('10.1.0.5'), ['web.front'])
  t.strictSame(reverse('10.1.2.21'), ['web4.front'])
  t.equal(reverse('10.2.1.30'), 'NXDOMAIN', 'of a network that the asker is not on')
  t.equal(reverse('8.8.8.8'), 'forward')
})

t.test('what is no plain query', async (t) => {
  const deps = { names: kernel, source: onFront, transport: 'udp' as const, turn: () => 0 }
  t.equal(answerQuery(Buffer.from('nonsense'), deps).kind, 'ignore')
  t.equal(answerQuery(encode({ type: 'response', id: 1 }), deps).kind, 'ignore')
  const rcode = (message: Buffer) => {
    const answer = answerQuery(message, deps)
    return answer.kind === 'reply'
      ? (decode(answer.message) as { rcode?: string }).rcode
      : answer.kind
  }
  t.equal(rcode(encode({ type: 'query', id: 1, questions: [] })), 'FORMERR')
  t.equal(rcode(query('web', 'A', { flags: 2 << 11 })), 'NOTIMP')
  const forwarded = answerQuery(query('nosuch'), deps)
  t.ok(forwarded.kind === 'forward')
  if (forwarded.kind !== 'forward') return
  t.equal((decode(forwarded.refusal) as { rcode?: string }).rcode, 'NXDOMAIN', 'one label is ours')
})

t.test('a query that is longer than any client has is not even read', async (t) => {
  const padded = (length: number) =>
    query('web', 'A', {
      additionals: [
        { type: 'OPT', name: '.', options: [{ code: 'PADDING', type: 12, length }] } as never,
      ],
    })
  const deps = { names: kernel, source: onFront, transport: 'tcp' as const, turn: () => 0 }
  const kind = (message: Buffer) => answerQuery(message, deps).kind
  t.equal(kind(padded(468)), 'reply')
  t.equal(kind(padded(4096)), 'ignore', 'it could name thousands of chains of pointers')
})

t.test('an answer that is too large is truncated, and whole by TCP', async (t) => {
  const many = view({
    networks: [network('front', 1, '10.1.0.0/16')],
    services: [service('web', { mode: 'dnsrr', aliases: [{ networkId: 'front', names: [] }] })],
    endpoints: Array.from({ length: 100 }, (_, at) =>
      endpoint(`w${at}`, 'web', 'n2', { front: `10.1.2.${at}` }),
    ),
  })
  const names = new NameIndex(many, 'kernel')
  const size = (transport: 'udp' | 'tcp', message: Buffer) => {
    const answer = answerQuery(message, { names, source: onFront, transport, turn: () => 0 })
    if (answer.kind !== 'reply') return null
    const packet = decode(answer.message) as Packet & { flag_tc?: boolean }
    return [packet.flag_tc ?? false, packet.answers?.length, answer.message.length <= 1232]
  }
  t.strictSame(size('udp', query('tasks.web')), [true, 19, true], 'what fits, for who asks no more')
  const unmarked = answerQuery(query('tasks.web'), {
    names,
    source: onFront,
    transport: 'udp',
    turn: () => 0,
  })
  t.ok(unmarked.kind === 'reply' && unmarked.message.length <= 512)
  t.strictSame(size('tcp', query('tasks.web')), [false, 100, false])
  const edns = query('web2', 'A', {
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as never],
  })
  t.strictSame(size('udp', edns), null, 'unknown: forwarded')
})

t.test('resolv.conf', async (t) => {
  t.strictSame(nameservers('# x\nnameserver 1.1.1.1\nsearch a\n nameserver ::1 # y\n'), [
    '1.1.1.1',
    '::1',
  ])
  t.strictSame(nameservers(''), [])
  t.strictSame(searchDomains('search a.b\ndomain x\nsearch  c.d e.f # g\nnameserver 1.1.1.1\n'), [
    'c.d',
    'e.f',
  ])
  t.strictSame(searchDomains('search .\n'), [])
})
