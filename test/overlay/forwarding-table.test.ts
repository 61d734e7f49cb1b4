/** From a view to the table, and from the table to nftables elements and routes. */
import t from 'tap'
import type { OverlayView } from '../../src/api/overlay-view.ts'
import { type ForwardingTable, forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { linkDifference, linkModel } from '../../src/overlay/link-model.ts'
import { nftModel } from '../../src/overlay/nft-model.ts'
import { changeView, emptyView } from '../../src/overlay/view.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const tableOf = (of: OverlayView, self = 'n1'): ForwardingTable => {
  const table = forwardingTable(of, self)
  t.ok(table)
  return table as ForwardingTable
}

const modelOf = (of: OverlayView, options: { reserved?: boolean; retired?: string[] } = {}) =>
  nftModel(tableOf(of), {
    reserved: () => options.reserved ?? true,
    retired: options.retired ?? [],
    vxlanPort: 4789,
  })

const web = service('web', {
  vips: [{ networkId: 'front', addr: '10.1.0.5' }],
  ports: [
    { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
    { Protocol: 'udp', TargetPort: 53, PublishedPort: 8080, PublishMode: 'ingress' },
    { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8081, PublishMode: 'host' },
  ],
})
const front = network('front', 1, '10.1.0.0/16')
const ingress = network('ingress', 2, '10.2.0.0/16', { ingress: true })
const base = {
  networks: [front, ingress],
  services: [web],
  endpoints: [
    endpoint('a', 'web', 'n1', { front: '10.1.1.20', ingress: '10.2.1.20' }),
    endpoint('b', 'web', 'n2', { front: '10.1.2.9', ingress: '10.2.2.9' }),
  ],
}

t.test('a node that the view does not have has no table', async (t) => {
  t.equal(forwardingTable(emptyView(), 'n1'), null)
  t.equal(forwardingTable(view({ nodes: [node(1, { dataPathAddr: 'nonsense' })] }), 'n1'), null)
})

t.test(
  'a VIP is mapped address to address, a published port to the ingress addresses',
  async (t) => {
    const model = modelOf(view(base))
    const chain = model.maps.vip.get('10.1.0.5')
    t.match(chain, /^goto v2_b\d+$/)
    t.strictSame(
      [...model.maps.vip_ep],
      [
        ['10.1.0.5 . 0', '10.1.1.20'],
        ['10.1.0.5 . 1', '10.1.2.9'],
      ],
    )
    t.strictSame([...model.maps.pub.keys()], ['tcp . 8080', 'udp . 8080'], 'host mode is not ours')
    t.strictSame(
      [...model.maps.tcp_ep],
      [
        ['8080 . 0', '10.2.1.20 . 80'],
        ['8080 . 1', '10.2.2.9 . 80'],
      ],
    )
    t.strictSame([...model.maps.udp_ep.values()], ['10.2.1.20 . 53', '10.2.2.9 . 53'])
    const chains = [...model.maps.vip.values(), ...model.maps.pub.values()]
    for (const one of chains) t.ok(model.chains.has(one.replace('goto ', '')), one)
  },
)

t.test('who gets new connections', async (t) => {
  const cases: [string, Partial<Parameters<typeof view>[0]>, string[]][] = [
    ['ready', {}, ['10.1.1.20', '10.1.2.9']],
    [
      'draining',
      { endpoints: [base.endpoints[0]!, { ...base.endpoints[1]!, state: 'draining' }] },
      ['10.1.1.20'],
    ],
    ['starting', { endpoints: base.endpoints.map((one) => ({ ...one, state: 'starting' })) }, []],
    ['its node is gone', { nodes: [node(1), node(2, { live: false })] }, ['10.1.1.20']],
    ['its node is unknown', { nodes: [node(1)] }, ['10.1.1.20']],
  ]
  for (const [name, parts, addrs] of cases) {
    const model = modelOf(view({ ...base, ...parts }))
    t.strictSame([...model.maps.vip_ep.values()], addrs, name)
    t.equal(model.maps.vip.size, addrs.length === 0 ? 0 : 1)
    t.ok(model.sets.vip_addrs.has('10.1.0.5'), 'what is left is refused')
  }
  const empty = modelOf(view({ ...base, endpoints: [] }))
  t.strictSame([...empty.sets.empty_ports], ['tcp . 8080', 'udp . 8080'])
  t.equal(empty.maps.pub.size, 0)
})

t.test('an address that a user wants among the virtual ones is a task’s own', async (t) => {
  const low = [
    endpoint('low', 'web', 'n2', { front: '10.1.0.9' }),
    endpoint('here', 'web', 'n1', { front: '10.1.0.10' }),
    endpoint('other', 'web', 'n2', { front: '10.1.7.9' }),
  ]
  const of = view({ ...base, endpoints: [...base.endpoints, ...low] })
  const model = modelOf(of)
  t.strictSame([...model.sets.task_addrs].sort(), ['10.1.0.10', '10.1.0.9'])
  t.ok(model.sets.vip_nets.has('10.1.0.0/24'), 'the others there are refused as ever')
  const routes = tableOf(of).hostRoutes.map(({ addr, nodeId }) => `${addr} ${nodeId}`)
  for (const route of ['10.1.0.9 n2', '10.1.0.10 n1']) t.ok(routes.includes(route), route)
})

t.test('connections to a dead node and to tasks that are gone are reset', async (t) => {
  const model = modelOf(view({ ...base, nodes: [node(1), node(2, { live: false })] }), {
    retired: ['10.1.1.99'],
  })
  t.strictSame([...model.sets.dead_eps].sort(), ['10.1.1.99', '10.1.2.9', '10.2.2.9'])
  const self = modelOf(view({ ...base, nodes: [node(1, { live: false }), node(2)] }))
  t.equal(self.sets.dead_eps.size, 0, 'never its own')
})

t.test('a port that another process has is left to it', async (t) => {
  const model = modelOf(view(base), { reserved: false })
  t.equal(model.maps.pub.size, 0)
  t.equal(model.sets.empty_ports.size, 0)
})

t.test('what packets can not do is left to the proxy', async (t) => {
  const [tcp, udp] = web.ports as [(typeof web.ports)[number], (typeof web.ports)[number]]
  for (const Swarmctl of [{ ProxyProtocol: 'v2' as const }, { HostIP: '192.0.2.1' }]) {
    const of = view({ ...base, services: [{ ...web, ports: [{ ...tcp, Swarmctl }, udp] }] })
    t.strictSame([...modelOf(of).maps.pub.keys()], ['udp . 8080'])
    t.strictSame([...modelOf({ ...of, endpoints: new Map() }).sets.empty_ports], ['udp . 8080'])
    t.equal(tableOf(of).published[0]?.endpoints.length, 2, 'the listener serves it')
  }
})

t.test('isolation, translation and the nodes', async (t) => {
  const vault = network('vault', 3, '10.3.0.0/16', { internal: true })
  const model = modelOf(
    view({
      ...base,
      networks: [front, ingress, vault],
      nodes: [node(1), node(2, { dataPlane: 'proxy' }), node(3)],
    }),
  )
  t.strictSame([...model.sets.overlay], ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'])
  t.strictSame([...model.sets.pairs][0], '10.1.0.0/16 . 10.1.0.0/16')
  t.strictSame([...model.sets.local_nets], ['10.1.1.0/24', '10.2.1.0/24'])
  t.strictSame([...model.sets.internal_nets], ['10.3.0.0/16'])
  t.strictSame([...model.sets.snat_nets], ['10.1.2.0/24', '10.2.2.0/24', '10.3.2.0/24'])
  t.strictSame(
    [...model.maps.node_mark],
    [
      ['02:dd:c0:a8:00:02', '0x10020000'],
      ['02:dd:c0:a8:00:03', '0x10030000'],
    ],
  )
  t.strictSame([...model.sets.hairpin], ['10.1.1.20 . 10.1.1.20', '10.2.1.20 . 10.2.1.20'])
})

t.test('what can not be taken is named, the rest goes on', async (t) => {
  const table = tableOf(
    view({
      ...base,
      nodes: [node(1), node(2, { dataPathAddr: 'fe80::1' })],
      networks: [front, network('bad', 7, 'nonsense'), network('twice', 8, '10.1.128.0/17')],
      services: [web, { ...web, id: 'web2', name: 'web2' }],
    }),
  )
  t.strictSame(
    table.networks.map((one) => one.id),
    ['front'],
  )
  t.match(table.problems, [
    /node n2: data path address/,
    /network bad: "nonsense" is not an IPv4 subnet/,
    /network twice: 10.1.128.0\/17 overlaps network front/,
    /port tcp\/8080 of service web2 is published by another service/,
    /port udp\/8080/,
  ])
})

t.test('a published port leads each task where it was made to listen', async (t) => {
  const targetsWith = (targets: (Record<string, number> | undefined)[], published = 8080) =>
    tableOf(
      view({
        networks: [front],
        services: [
          service('web', {
            ports: [
              {
                ...{ Protocol: 'tcp', PublishMode: 'ingress' },
                ...{ TargetPort: 8000, PublishedPort: published },
              },
            ],
          }),
        ],
        endpoints: targets.map((one, at) =>
          endpoint(`t${at}`, 'web', 'n2', { front: `10.1.2.${at + 1}` }, one && { targets: one }),
        ),
      }),
    ).published[0]?.endpoints.map(({ addr, port }) => `${addr}:${port}`)
  const [old, fresh] = [{ 'tcp/8080': 80 }, { 'tcp/8080': 8000 }]
  t.strictSame(targetsWith([old, fresh]), ['10.1.2.1:80', '10.1.2.2:8000'], 'during an update')
  t.strictSame(targetsWith([undefined, old]), ['10.1.2.1:8000', '10.1.2.2:80'], 'not told')
  t.strictSame(targetsWith([fresh, fresh], 9090), ['10.1.2.1:8000', '10.1.2.2:8000'], 'renamed')
  t.strictSame(
    targetsWith([old, { 'tcp/9090': 8000 }], 9090),
    ['10.1.2.2:8000'],
    'the old ones may not serve what is added',
  )
  t.strictSame(targetsWith([old, { 'udp/9': 8000 }], 9090), ['10.1.2.1:8000', '10.1.2.2:8000'])
})

t.test('routes: a block per node, a /32 for what lies outside its block', async (t) => {
  const flat = network('flat', 4, '10.9.9.16/28', {
    plan: 'flat',
    gateways: { n1: '10.9.9.17', n2: '10.9.9.18' },
  })
  const of = view({
    networks: [front, flat],
    services: [service('s', { vips: [{ networkId: 'flat', addr: '10.9.9.20' }] })],
    endpoints: [
      endpoint('own', 's', 'n1', { flat: '10.9.9.21' }),
      endpoint('far', 's', 'n2', { flat: '10.9.9.22' }),
      endpoint('static', 's', 'n1', { front: '10.1.2.200' }),
      endpoint('moved', 's', 'n3', { front: '10.1.1.77' }),
    ],
  })
  const items = linkModel(tableOf(of), new Set([1]), null)
  const add = (key: string) => items.get(key)?.add
  t.equal(
    add('route main 10.1.2.0/24'),
    'route replace 10.1.2.0/24 via 169.254.77.2 dev sw-vx0 onlink src 10.1.1.1 proto 94',
  )
  t.match(add('route main 10.1.0.0/24'), 'dev sw-vx0 src 10.1.1.1', 'the VIPs')
  t.match(add('route main 10.1.2.200'), 'dev sw-br1 src 10.1.1.1', 'own task, static address')
  t.match(add('route main 10.1.1.77'), 'via 169.254.77.3', 'another node has one of our block')
  t.match(
    add('route main 10.9.9.22'),
    'via 169.254.77.2 dev sw-vx0 onlink proto',
    'no bridge, no source',
  )
  t.match(add('route main 10.9.9.18'), 'via 169.254.77.2', "the other node's gateway")
  t.equal(add('route main 10.9.9.21'), undefined, 'the bridge has it')
  t.match(add('route main 10.9.9.20'), 'dev sw-vx0', 'a VIP of a flat subnet')
  t.equal(add('rule 902'), 'rule add pref 902 fwmark 0x20000/0xfff0000 lookup 902')
  t.match(add('route 902 default'), 'via 169.254.77.2 dev sw-vx0 onlink proto 94 table 902')
  t.equal(
    add('fdb 02:dd:c0:a8:00:02 192.168.0.2'),
    'fdb replace 02:dd:c0:a8:00:02 dev sw-vx0 dst 192.168.0.2 self permanent',
  )
  const without = linkModel(
    tableOf(view({ networks: [front], nodes: [node(1), node(2)] })),
    new Set([1]),
    null,
  )
  const { remove, add: added } = linkDifference(items, without)
  t.strictSame(added, [])
  t.ok(remove.some((one) => one.remove === 'rule del pref 903 fwmark 0x30000/0xfff0000 lookup 903'))
  t.ok(remove.some((one) => one.remove === 'route del 10.1.3.0/24 proto 94'))
})

t.test('a change leaves the old view as it is; a complete one replaces', async (t) => {
  const none = { put: [], remove: [] }
  const before = view(base)
  const change = {
    nodes: none,
    networks: none,
    services: none,
    endpoints: { put: [endpoint('c', 'web', 'n3', {})], remove: ['a'] },
  }
  const after = changeView(before, change, false)
  t.strictSame([...after.endpoints.keys()], ['b', 'c'])
  t.equal(before.endpoints.size, 2)
  t.equal(after.nodes, before.nodes)
  const complete = changeView(before, change, true)
  t.strictSame([complete.nodes.size, ...complete.endpoints.keys()], [0, 'c'])
})
