/** What IPv6 adds to tables, links, rules, names and containers; and that nothing is added without it. */
import { decode, encode, type Packet, type RecordType } from 'dns-packet'
import t from 'tap'
import type { OverlayView } from '../../src/api/overlay-view.ts'
import type { Task } from '../../src/api/task.ts'
import { addressesOf, attachmentOf } from '../../src/overlay/attachment.ts'
import { createBody } from '../../src/overlay/bridges.ts'
import { answerQuery } from '../../src/overlay/dns/answer.ts'
import { NameIndex } from '../../src/overlay/dns/names.ts'
import { ipv6ProxyChains } from '../../src/overlay/firewall-ipv6.ts'
import { bridgeNetwork, forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { ipv6LinkModel } from '../../src/overlay/link-model-ipv6.ts'
import { IPV6_LAYOUT } from '../../src/overlay/nft-layout-ipv6.ts'
import { ipv6NftModel } from '../../src/overlay/nft-model-ipv6.ts'
import { fullScript } from '../../src/overlay/nft-script.ts'
import { Twins } from '../../src/overlay/twins.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const front = network('front', 1, '10.1.0.0/16', { subnet6: 'fd00:1::/64' })
const flat = network('flat', 2, '10.9.9.0/24', {
  plan: 'flat',
  subnet6: 'fd00:2::/120',
  internal: true,
  gateways: { n1: '10.9.9.1', n2: '10.9.9.2' },
})
const plain = network('plain', 3, '10.3.0.0/16')
const dual = { ipv6: true } as const
const of = view({
  nodes: [node(1, dual), node(2, dual), node(3)],
  networks: [front, flat, plain],
  services: [
    service('web', {
      vips: [
        { networkId: 'front', addr: '10.1.0.5' },
        { networkId: 'flat', addr: '10.9.9.5' },
        { networkId: 'plain', addr: '10.3.0.5' },
      ],
    }),
  ],
  endpoints: [
    endpoint('own', 'web', 'n1', { front: '10.1.1.20', flat: '10.9.9.20', plain: '10.3.1.20' }),
    endpoint('far', 'web', 'n2', { front: '10.1.2.20', flat: '10.9.9.21' }),
    endpoint('old', 'web', 'n3', { front: '10.1.3.20' }),
    endpoint('moved', 'web', 'n2', { front: '10.1.1.77' }),
  ],
})
const ipv4Only = (one: OverlayView): OverlayView => ({
  ...one,
  networks: new Map([...one.networks].map(([id, { subnet6: _, ...rest }]) => [id, rest])),
})
const table = (one = of) => forwardingTable(one, 'n1')!

t.test('without a network that has IPv6 there is none of it', async (t) => {
  const without = table(ipv4Only(of))
  const inputs = {
    bridges: new Set([1, 2, 3]),
    isIsolated: true,
    isRelayed: false,
    retired: ['10.1.1.9'],
  }
  t.equal(ipv6LinkModel(without, inputs).size, 0)
  t.equal(ipv6NftModel(without, { retired: [] }), null)
  const body = createBody(without.networks[0] as never, { mtu: 1450, engineVersion: '28.0.0' })
  t.notOk('EnableIPv6' in body)
  t.equal(body.IPAM.Config.length, 1)
})

t.test('subnets that overlap, or that twins do not fit into', async (t) => {
  const two = view({
    networks: [front, network('late', 4, '10.4.0.0/16', { subnet6: 'fd00:1::/48' })],
  })
  t.match(table(two).problems, [/network late: fd00:1::\/48 overlaps network front/])
  t.strictSame(
    table(two).networks.map(({ id }) => id),
    ['front'],
  )
  const narrow = view({ networks: [network('n', 4, '10.4.0.0/16', { subnet6: 'fd00::/113' })] })
  t.equal(table(narrow).networks[0]?.ipv6, null)
})

t.test('routes: a block per node, a /128 for what lies outside its block', async (t) => {
  const items = ipv6LinkModel(table(), {
    bridges: new Set([1]),
    isIsolated: false,
    isRelayed: false,
    retired: ['10.1.2.99', '10.3.1.99'],
  })
  const add = (key: string) => items.get(key)?.add
  t.equal(
    add('route main fd00:1::a01:200/120'),
    'route replace fd00:1::a01:200/120 via fe80::4d:2 dev sw-vx0 onlink proto 94',
  )
  t.equal(
    add('neigh fe80::4d:3'),
    'neigh replace fe80::4d:3 lladdr 02:dd:c0:a8:00:03 dev sw-vx0 nud permanent',
  )
  t.match(add('route main fd00:1::a01:0/120'), 'dev sw-vx0', 'the VIPs')
  t.match(add('route main fd00:1::a01:14d'), 'via fe80::4d:2', 'another node has one of our block')
  t.match(add('route main fd00:2::15'), 'via fe80::4d:2 dev sw-vx0 onlink proto', 'no bridge yet')
  t.match(add('route main fd00:2::2'), 'via fe80::4d:2', "the other node's gateway")
  t.match(add('route main fd00:2::5'), 'dev sw-vx0', 'a VIP of a flat subnet')
  t.equal(add('route main fd00:2::14'), undefined, 'the bridge has it')
  t.equal(
    [...items.keys()].some((key) => key.includes('fd00:3') || key.includes('10.')),
    false,
    'nothing of the network without',
  )
  const proxied = [...items.keys()].filter((key) => key.startsWith('proxy'))
  t.strictSame(
    proxied.sort(),
    ['a01:214', 'a01:314', 'a01:14d', 'a01:5', 'a01:263', 'a01:201', 'a01:301']
      .map((one) => `proxy fd00:1::${one} sw-br1`)
      .sort(),
    "remote tasks, VIPs, those that are gone and the other hosts', on bridges that are there",
  )
  t.equal(add('proxy fd00:1::a01:5 sw-br1'), 'neigh replace proxy fd00:1::a01:5 dev sw-br1')
  const isolated = ipv6LinkModel(table(), {
    bridges: new Set([1]),
    isIsolated: true,
    isRelayed: false,
    retired: [],
  })
  t.ok(isolated.has('proxy fd00:1::a01:114 sw-br1'), 'also between tasks of one bridge')
  const inFlat = ipv6LinkModel(table(), {
    bridges: new Set([2]),
    isIsolated: false,
    retired: [],
    isRelayed: false,
  })
  t.ok(inFlat.has('proxy fd00:2::2 sw-br2'), "the other node's gateway in a flat subnet")
  t.notOk(inFlat.has('proxy fd00:2::1 sw-br2'), 'its own the host has')
})

t.test('rules: VIPs, isolation, the way outside', async (t) => {
  const model = ipv6NftModel(table(), { retired: ['10.1.2.99', '10.3.1.99'] })!
  t.match(model.maps.vip.get('fd00:1::a01:5'), /^goto v3_b\d+$/)
  t.strictSame(
    [...model.maps.vip_ep].filter(([key]) => key.startsWith('fd00:1::a01:5 ')),
    ['a01:114', 'a01:14d', 'a01:214'].map((one, at) => [`fd00:1::a01:5 . ${at}`, `fd00:1::${one}`]),
    'not the task of a node without IPv6',
  )
  t.strictSame([...model.sets.overlay], ['fd00:1::/64', 'fd00:2::/120'])
  t.strictSame([...model.sets.local_nets], ['fd00:1::a01:100/120'])
  t.strictSame([...model.sets.internal_nets], ['fd00:2::/120'])
  t.strictSame([...model.sets.vip_nets], ['fd00:1::a01:0/120'])
  t.strictSame([...model.sets.vip_addrs], ['fd00:1::a01:5', 'fd00:2::5'])
  t.strictSame(
    [...model.sets.hairpin],
    ['fd00:1::a01:114 . fd00:1::a01:114', 'fd00:2::14 . fd00:2::14'],
  )
  t.strictSame([...model.sets.dead_eps], ['fd00:1::a01:263', 'fd00:1::a01:314'])
  const script = fullScript(model, { vxlanPort: 4789, layout: IPV6_LAYOUT })
  t.match(script, /^table ip6 swarmctl\ndelete table ip6 swarmctl\ntable ip6 swarmctl \{/)
  for (const rule of [
    'ip6 saddr . ip6 daddr @pairs accept',
    'oifname "sw-br*" icmpv6 type nd-redirect drop',
    'dnat ip6 to ip6 daddr . numgen inc mod 3 map @vip_ep',
    'add element ip6 swarmctl pairs { fd00:1::/64 . fd00:1::/64, fd00:2::/120 . fd00:2::/120 }',
  ])
    t.match(script, rule)
})

t.test("the proxy plane's rules", async (t) => {
  const lines = ipv6ProxyChains(table()).split('\n')
  const accept = lines.indexOf('-A SWARMCTL -s fd00:1::/64 -d fd00:1::/64 -j ACCEPT')
  const drop = lines.indexOf('-A SWARMCTL -d fd00:1::/64 -m conntrack --ctdir ORIGINAL -j DROP')
  t.ok(accept > 0 && drop > accept)
  t.ok(lines.includes('-A SWARMCTL -s fd00:2::/120 -m conntrack --ctdir ORIGINAL -j DROP'))
  t.ok(lines.includes('-A SWARMCTL-NAT -s fd00:1::a01:100/120 ! -o sw-vx+ -j MASQUERADE'))
  t.notOk(
    lines.some((line) => line.includes('-s fd00:2::/120 ! -o')),
    'an internal one is not',
  )
  const own = lines.indexOf('-A SWARMCTL-ANSWER -s fd00:1::a01:100/120 -j RETURN')
  const others = lines.indexOf('-A SWARMCTL-ANSWER -s fd00:1::/64 -j DROP')
  const asks = lines.indexOf('-A SWARMCTL -i sw-br+ -m conntrack --ctdir REPLY -j SWARMCTL-ANSWER')
  t.ok(0 < own && own < others && 0 < asks && asks < accept, 'answers are of this node’s')
})

t.test('the bridge and what a container is created with', async (t) => {
  const one = bridgeNetwork(front, { nodeId: 'n2', index: 2 })
  const body = createBody(one as never, { mtu: 1450, engineVersion: '28.0.0' })
  t.match(body, {
    EnableIPv6: true,
    IPAM: { Config: [{}, { Subnet: 'fd00:1::/64', Gateway: 'fd00:1::a01:201' }] },
  })
  const Network = {
    ID: 'front',
    Spec: { Name: 'front', DriverConfiguration: { Name: 'overlay', Options: {} } },
    IPAMOptions: { Configs: [{ Subnet: '10.1.0.0/16' }, { Subnet: 'fd00:1::/64' }] },
    Swarmctl: { Index: 1, Plan: 'blocks', Gateways: {} },
  }
  const task = {
    ID: 'task',
    Spec: {},
    NetworksAttachments: [
      { Network, Addresses: ['10.1.1.20/16'] },
      { Network: { ID: 'h', Spec: { DriverConfiguration: { Name: 'host' } } }, Addresses: [] },
    ],
  } as unknown as Task
  const noView = view({ networks: [] })
  for (const known of [noView, of])
    t.match(attachmentOf(task, known, { nodeId: 'n1', index: 1 }, []).networks, [
      { ipv4Address: '10.1.1.20', ipv6Address: 'fd00:1::a01:114' },
    ])
  const without = attachmentOf(task, ipv4Only(of), { nodeId: 'n1', index: 1 }, [])
  t.notOk('ipv6Address' in without.networks[0]!, 'the view is newer than the task')
  t.strictSame(addressesOf(task), ['10.1.1.20', 'fd00:1::a01:114'])
})

t.test('the twin of an address among many networks', async (t) => {
  const subnets = ['10.9.9.0/24', '192.168.0.0/16', '10.0.0.0/16', '10.2.0.0/16']
  const twins = new Twins([
    ...subnets.map((subnet, at) => ({ id: subnet, subnet, subnet6: `fd00:${at + 1}::/64` })),
    { id: 'plain', subnet: '10.3.0.0/16' },
  ])
  t.strictSame(twins.of('10.9.9.255'), { networkId: subnets[0], addr: 'fd00:1::a09:9ff' })
  t.strictSame(twins.of('192.168.0.0'), { networkId: subnets[1], addr: 'fd00:2::c0a8:0' })
  t.strictSame(twins.of('10.0.0.1'), { networkId: subnets[2], addr: 'fd00:3::a00:1' })
  for (const addr of ['9.255.255.255', '10.1.0.0', '10.3.0.5', '10.9.10.0', '192.169.0.0', 'x'])
    t.equal(twins.of(addr), undefined, addr)
  t.equal(new Twins([]).of('10.0.0.1'), undefined)
})

const query = (name: string, type: RecordType) =>
  encode({ type: 'query', id: 77, flags: 256, questions: [{ type, name }] })

t.test('names', async (t) => {
  const ask = (name: string, options: { type?: RecordType; plane?: 'kernel' | 'proxy' } = {}) => {
    const turns: string[] = []
    const answer = answerQuery(query(name, options.type ?? 'AAAA'), {
      names: new NameIndex(of, options.plane ?? 'kernel'),
      source: '10.1.1.20',
      transport: 'udp',
      turn: (type) => turns.push(type) - 1,
    })
    if (answer.kind !== 'reply') return answer.kind
    const packet = decode(answer.message) as unknown as Packet & { rcode: string }
    const data = (packet.answers ?? []).map((one) => (one as { data: unknown }).data)
    return packet.rcode === 'NOERROR' ? data : packet.rcode
  }
  t.strictSame(ask('web'), ['fd00:1::a01:5'])
  t.strictSame(ask('web', { type: 'A' }), ['10.1.0.5'])
  const tasks = ['fd00:1::a01:114', 'fd00:1::a01:14d', 'fd00:1::a01:214']
  t.strictSame(ask('tasks.web'), tasks, 'not the task of a node without IPv6')
  t.strictSame(ask('web', { plane: 'proxy' }), [tasks[0]], 'no VIP without the kernel plane')
  t.strictSame(ask('tasks.web.flat'), ['fd00:2::14', 'fd00:2::15'])
  t.strictSame(ask('web.plain'), [], 'known, but without IPv6')
  t.strictSame(ask('far'), ['fd00:1::a01:214'], 'by hostname')
  t.strictSame(ask('old'), [])
  t.equal(ask('nosuch'), 'forward')
  const arpa = (groups: string) => `${[...groups].reverse().join('.')}.ip6.arpa`
  const ptr = (groups: string) => ask(arpa(groups), { type: 'PTR' })
  t.strictSame(ptr('fd000001000000000000' + '00000a010005'), ['web.front'])
  t.strictSame(ptr('fd0000010000000000000000' + '0a010214'), ['far.front'])
  t.strictSame(ptr('fd0000020000000000000000' + '00000015'), ['far.flat'], 'in a narrow subnet')
  t.equal(ptr('fd0000010000000000000001' + '0a010214'), 'NXDOMAIN', 'no twin of anybody')
  t.equal(ptr('fd0000090000000000000000' + '0a010214'), 'forward', 'not ours')
  t.strictSame(ask(arpa('fd0000010000000000000000' + '0a010214')), [], 'another type')
})

t.test('a VIP has an AAAA record unless all of its tasks are on nodes without IPv6', (t) => {
  const addrs6 = (nodes: readonly ReturnType<typeof node>[], ready: boolean) => {
    const one = view({
      nodes: [...nodes],
      networks: [front],
      services: [service('web', { vips: [{ networkId: 'front', addr: '10.1.0.5' }] })],
      endpoints: [
        endpoint('own', 'other', 'n1', { front: '10.1.1.20' }),
        ...(ready ? [endpoint('far', 'web', 'n2', { front: '10.1.2.20' })] : []),
      ],
    })
    const resolution = new NameIndex(one, 'kernel').resolve('web', '10.1.1.20')
    return resolution.kind === 'addresses' ? resolution.addrs6 : resolution.kind
  }
  const twin = ['fd00:1::a01:5']
  t.strictSame(addrs6([node(1, dual), node(2, dual)], true), twin)
  t.strictSame(addrs6([node(1, dual), node(2)], true), [], 'as with tasks.web')
  t.strictSame(addrs6([node(1, dual), node(2)], false), twin, 'nobody is ready: refused in both')
  t.end()
})

t.test('the families rotate each by itself: most clients ask for both', async (t) => {
  const turns = { A: 0, AAAA: 0 }
  const names = new NameIndex(of, 'proxy')
  const seen = { A: new Set<unknown>(), AAAA: new Set<unknown>() }
  for (let n = 0; n < 4; n += 1)
    for (const type of ['A', 'AAAA'] as const) {
      const answer = answerQuery(query('web', type), {
        ...{ names, source: '10.1.1.20', transport: 'udp' },
        turn: (of) => turns[of]++,
      })
      if (answer.kind !== 'reply') throw new Error(answer.kind)
      for (const one of decode(answer.message).answers ?? [])
        seen[type].add((one as { data: unknown }).data)
    }
  t.equal(seen.A.size, 4)
  t.equal(seen.AAAA.size, 3)
})
