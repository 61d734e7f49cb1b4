import t from 'tap'
import { ipv6SubnetOf } from '../../../src/api/ipam-pools.ts'
import { parseCidr } from '../../../src/api/ipv4.ts'
import { formatIpv6Cidr, parseIpv6Cidr } from '../../../src/api/ipv6.ts'
import { taskRange, vipRange } from '../../../src/manager/allocator/address-plan.ts'
import { ipv6Conflict, sitePrefix } from '../../../src/manager/allocator/ipv6-subnets.ts'
import { allocateTaskAddresses } from '../../../src/manager/allocator/task-addresses.ts'
import type { Store } from '../../../src/manager/store/store.ts'
import {
  assign,
  dynamic,
  end,
  network,
  newAllocator,
  service,
  settle,
  taskOf,
} from '../../support/allocating.ts'
import { sampleCluster, sampleNode, sampleTask } from '../../support/objects.ts'

const addressesOf = (store: Store, taskId: string) =>
  store
    .view()
    .get('task', taskId)!
    .NetworksAttachments!.flatMap((a) => a.Addresses)

t.test('a new cluster gets its networks once, and a removed ingress stays removed', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => tx.put('cluster', sampleCluster()))
  allocator.start()
  await settle(store)
  const names = () =>
    store
      .view()
      .list('network')
      .map((n) => n.Spec.Name)
  t.same(names(), ['host', 'bridge', 'none', 'ingress'])
  t.match(store.view().byName('network', 'ingress'), {
    Spec: { Ingress: true },
    IPAMOptions: { Configs: [{ Subnet: '10.0.0.0/16', Gateway: '10.0.0.1' }] },
    Swarmctl: { Index: 1, Plan: 'blocks' },
  })
  t.match(store.view().byName('network', 'host'), { IPAMOptions: { Configs: [] } })
  await store.update((tx) => tx.remove('network', tx.byName('network', 'ingress')!.ID))
  await settle(store)
  t.same(names(), ['host', 'bridge', 'none'])
  await allocator.stop()
})

t.test('node-local networks get nothing, and tasks on them no addresses', async (t) => {
  const { store, allocator } = newAllocator()
  const nodeLocal = (id: string, subnet?: string) => {
    const made = network(id, subnet)
    const DriverConfiguration = { Name: 'macvlan', Options: {} }
    return { ...made, Spec: { ...made.Spec, DriverConfiguration, IPv6Enabled: true } }
  }
  const alone = service('alone', ['mv'])
  const both = service('both', ['mv', 'net'])
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', sampleNode('n1', 1))
    tx.put('network', nodeLocal('mv'))
    tx.put('network', nodeLocal('asked', '10.0.0.0/9'))
    tx.put('network', network('net'))
    for (const one of [alone, both]) tx.put('service', one)
    for (const one of [alone, both]) tx.put('task', taskOf(`t-${one.ID}`, one))
  })
  allocator.start()
  await settle(store)
  for (const id of ['mv', 'asked']) {
    const { IPAMOptions, Swarmctl } = store.view().get('network', id)!
    t.match([IPAMOptions.Configs, Swarmctl.Index], [[], 0])
  }
  t.match(store.view().get('network', 'net')?.IPAMOptions.Configs, [{ Subnet: /^10\.\d\./ }])
  t.notOk(store.view().get('service', 'alone')!.Endpoint.VirtualIPs)
  t.match(store.view().get('service', 'both')!.Endpoint.VirtualIPs, [{ NetworkID: 'net' }])
  for (const id of ['t-alone', 't-both']) await assign(store, id, 'n1')
  t.strictSame(addressesOf(store, 't-alone'), [])
  t.match(store.view().get('task', 't-alone')!.NetworksAttachments, [
    { Network: { ID: 'mv' }, Aliases: ['alias-alone'] },
  ])
  t.equal(addressesOf(store, 't-both').length, 1)
  await allocator.stop()
})

t.test('subnets: of the pool, beside other networks and what hosts route', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    const node = sampleNode('n1', 1)
    const Swarmctl = { ...node.Description.Swarmctl, HostSubnets: ['10.1.2.0/24', '0.0.0.0/0'] }
    const Status = { State: 'ready', Addr: '10.2.0.9' } as const
    tx.put('node', { ...node, Status, Description: { ...node.Description, Swarmctl } })
    tx.put('network', network('mine', '10.3.0.0/16'))
    tx.put('network', network('small', '10.4.5.0/28'))
    tx.put('network', network('clash', '10.1.0.0/20'))
  })
  allocator.start()
  await settle(store)
  await store.update((tx) => tx.put('network', network('auto')))
  await settle(store)
  const shown = (id: string) => {
    const { IPAMOptions, Swarmctl } = store.view().get('network', id)!
    return [IPAMOptions.Configs[0]?.Subnet, Swarmctl.Plan]
  }
  t.same(shown('mine'), ['10.3.0.0/16', 'blocks'])
  t.same(shown('small'), ['10.4.5.0/28', 'flat'])
  t.same(shown('clash'), [undefined, 'blocks'])
  // 10.0 is the ingress network's, 10.1 to 10.4 are taken by the others.
  t.same(shown('auto'), ['10.5.0.0/16', 'blocks'])

  const web = service('web', ['clash'])
  await store.update((tx) => {
    tx.put('service', web)
    tx.put('task', taskOf('t1', web))
  })
  await settle(store)
  t.match(store.view().get('task', 't1')?.Status, {
    State: 'new',
    Message: 'waiting for network resources',
    Err: 'network clash has no subnet yet',
  })
  await store.update((tx) => {
    const node = tx.get('node', 'n1')!
    const Swarmctl = { ...node.Description.Swarmctl, HostSubnets: [] }
    tx.put('node', { ...node, Description: { ...node.Description, Swarmctl } })
  })
  await settle(store)
  t.same(shown('clash'), ['10.1.0.0/20', 'flat'], 'tried again when the route went away')
  t.match(store.view().get('task', 't1')?.Status, {
    State: 'pending',
    Message: 'pending task scheduling',
  })
  await allocator.stop()
})

t.test('a removed network’s number and subnet come back last', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => {
    const DefaultAddrPool = ['10.8.0.0/22', '10.9.0.0/23']
    tx.put('cluster', sampleCluster({ DefaultAddrPool, SubnetSize: 24 }))
    tx.put('network', network('mine', '10.9.1.0/24'))
  })
  allocator.start()
  await settle(store)
  const made = async (id: string, at = store) => {
    await at.update((tx) => tx.put('network', network(id)))
    await settle(at)
    const { IPAMOptions, Swarmctl } = at.view().get('network', id)!
    return [Swarmctl.Index, IPAMOptions.Configs[0]?.Subnet]
  }
  const removed = async (id: string) => {
    await store.update((tx) => tx.remove('network', id))
    await settle(store)
  }
  // The ingress network has the pool's first one.
  t.same(await made('a'), [3, '10.8.1.0/24'])
  await removed('a')
  t.same(await made('b'), [4, '10.8.2.0/24'])
  await removed('b')
  await allocator.stop()
  const next = newAllocator()
  // Another manager leads: what it knows is what the store holds.
  await next.store.update((tx) => {
    tx.put('cluster', store.view().cluster()!)
    for (const one of store.view().list('network')) tx.put('network', one)
  })
  next.allocator.start()
  t.same(await made('c', next.store), [5, '10.8.3.0/24'])
  await next.allocator.stop()

  allocator.start()
  t.same(await made('c'), [5, '10.8.3.0/24'])
  t.same(await made('d'), [6, '10.9.0.0/24'], 'the next pool')
  t.same(await made('e'), [7, '10.8.1.0/24'], 'from the start, beside what is taken')
  await store.update((tx) => {
    const cluster = tx.cluster()!
    const LastNetwork = { Index: 4094, Subnet: '10.200.0.0/24' }
    tx.put('cluster', { ...cluster, Swarmctl: { ...cluster.Swarmctl, LastNetwork } })
  })
  t.same(await made('f'), [3, '10.8.2.0/24'], 'numbers too; a pool that is no more does not matter')
  await allocator.stop()
})

t.test('the pool runs out in words', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => {
    tx.put('cluster', sampleCluster({ DefaultAddrPool: ['10.9.0.0/23'], SubnetSize: 24 }))
    tx.put('network', network('a'))
    const web = service('web', ['a'])
    tx.put('service', web)
    tx.put('task', taskOf('t1', web))
  })
  allocator.start()
  await settle(store)
  t.equal(store.view().get('task', 't1')?.Status.State, 'pending')
  await store.update((tx) => tx.put('network', network('b')))
  await settle(store)
  t.same(store.view().get('network', 'b')?.IPAMOptions.Configs, [])
  await store.update((tx) => {
    tx.remove('task', 't1')
    tx.remove('service', 'web')
    tx.remove('network', 'a')
  })
  await settle(store)
  t.equal(store.view().get('network', 'b')?.IPAMOptions.Configs.length, 1)
  await allocator.stop()
})

t.test('a published number that was given back is given again last', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('service', service('a', [], [dynamic(80)]))
  })
  allocator.start()
  await settle(store)
  const numberOf = (id: string) =>
    store.view().get('service', id)?.Endpoint.Ports?.[0]?.PublishedPort
  t.equal(numberOf('a'), 30_000)
  await store.update((tx) => {
    tx.remove('service', 'a')
    tx.put('service', service('b', [], [dynamic(80)]))
  })
  await settle(store)
  t.equal(numberOf('b'), 30_001)
  await allocator.stop()
})

t.test(
  'services: a VIP per overlay, kept over updates; ports from the dynamic range',
  async (t) => {
    const { store, allocator } = newAllocator()
    await store.update((tx) => {
      tx.put('cluster', sampleCluster())
      tx.put('network', network('a'))
      tx.put('network', network('b'))
      const fixed = { ...dynamic(81), PublishedPort: 30_000 }
      tx.put(
        'service',
        service(
          'fixed',
          [],
          [fixed, { ...dynamic(82), PublishMode: 'host', PublishedPort: 30_001 }],
        ),
      )
    })
    allocator.start()
    await settle(store)
    const web = service('web', ['a'], [dynamic(80), dynamic(443)])
    await store.update((tx) => {
      tx.put('service', web)
      tx.put('task', taskOf('t1', web))
    })
    await settle(store)
    const endpoint = () => store.view().get('service', 'web')!.Endpoint
    const ingress = store.view().byName('network', 'ingress')!
    t.same(
      endpoint().Ports?.map((p) => p.PublishedPort),
      [30_002, 30_003],
    )
    const before = endpoint().VirtualIPs
    t.same(
      before?.map((v) => v.NetworkID),
      [ingress.ID, 'a'],
    )
    const task = store.view().get('task', 't1')!
    t.same(
      task.NetworksAttachments?.map((a) => [a.Network.ID, a.Addresses, a.Aliases]),
      [
        [ingress.ID, [], undefined],
        ['a', [], ['alias-web']],
      ],
    )
    t.same(
      task.Swarmctl.Endpoint.Ports?.map((p) => p.PublishedPort),
      [30_002, 30_003],
    )

    await store.update((tx) => {
      const current = tx.get('service', 'web')!
      tx.put('service', { ...current, Spec: service('web', ['a', 'b'], [dynamic(443)]).Spec })
    })
    await settle(store)
    t.same(
      endpoint().Ports?.map((p) => p.PublishedPort),
      [30_003],
      'a port keeps its number',
    )
    t.same(endpoint().VirtualIPs?.slice(0, 2), before, 'a VIP stays while its network does')
    t.equal(endpoint().VirtualIPs?.[2]?.NetworkID, 'b')
    await store.update((tx) => {
      const current = tx.get('service', 'web')!
      const Spec = { ...service('web', ['b']).Spec, EndpointSpec: { Mode: 'dnsrr' as const } }
      tx.put('service', { ...current, Spec })
    })
    await settle(store)
    t.same(endpoint(), { Spec: { Mode: 'dnsrr' } })
    await allocator.stop()
  },
)

t.test(
  'addresses: of the node’s block, used again last, with words when there are none',
  async (t) => {
    const { store, allocator } = newAllocator()
    const web = service('web', ['a'])
    await store.update((tx) => {
      tx.put('cluster', sampleCluster())
      tx.put('node', sampleNode('n7', 7))
      tx.put('network', network('a', '10.20.0.0/16'))
      tx.put('service', web)
      for (let i = 0; i < 4; i++) tx.put('task', taskOf(`t${i}`, web))
    })
    allocator.start()
    await settle(store)
    t.equal(store.view().get('service', 'web')?.Endpoint.VirtualIPs?.[0]?.Addr, '10.20.0.254/16')
    await assign(store, 't0', 'n7')
    await assign(store, 't1', 'n7')
    t.same(addressesOf(store, 't0'), ['10.20.7.2/16'])
    t.same(addressesOf(store, 't1'), ['10.20.7.3/16'])
    await end(store, 't0')
    await assign(store, 't2', 'n7')
    t.same(addressesOf(store, 't2'), ['10.20.7.4/16'], 'not the one just released')
    await t.rejects(assign(store, 't3', 'n8'), { message: /n8 is not there/ })

    await store.batch(
      Array.from({ length: 250 }, (_, i) => (tx) => {
        const task = taskOf(`many${i}`, web, {
          NodeID: 'n7',
          Status: { Timestamp: '', State: 'running', Message: '' },
          NetworksAttachments: [{ Network: tx.get('network', 'a')!, Addresses: [] }],
        })
        tx.put('task', allocateTaskAddresses(tx, task, 'n7'))
      }),
    )
    await assign(store, 't3', 'n7')
    t.same(addressesOf(store, 't3'), ['10.20.7.2/16'], 'the released one at last')
    await store.update((tx) => tx.put('task', taskOf('t4', web)))
    await settle(store)
    await t.rejects(assign(store, 't4', 'n7'), {
      code: 'FAILED_PRECONDITION',
      message: /no free address left/,
    })
    await allocator.stop()
  },
)

t.test('a flat subnet gives gateways on demand and takes a gone node’s back', async (t) => {
  const { store, allocator } = newAllocator()
  const web = service('web', ['s'])
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    for (const i of [1, 2, 3]) tx.put('node', sampleNode(`n${i}`, i))
    tx.put('network', network('s', '10.7.7.0/29'))
    tx.put('service', web)
    for (const i of [1, 2, 3, 4]) tx.put('task', taskOf(`t${i}`, web))
  })
  allocator.start()
  await settle(store)
  await assign(store, 't1', 'n1')
  await assign(store, 't2', 'n1')
  await assign(store, 't3', 'n2')
  const gateways = () => store.view().get('network', 's')!.Swarmctl.Gateways
  t.same(gateways(), { n1: '10.7.7.5', n2: '10.7.7.2' })
  t.same(
    ['t1', 't2', 't3'].flatMap((id) => addressesOf(store, id)),
    ['10.7.7.4/29', '10.7.7.3/29', '10.7.7.1/29'],
  )
  // Six addresses: the VIP, two gateways, three tasks.
  await t.rejects(assign(store, 't4', 'n3'), /network s has no free address left in its subnet/)
  await end(store, 't3')
  await t.rejects(
    assign(store, 't4', 'n3'),
    /no free address/,
    'a gateway and an address are needed',
  )
  t.same(Object.keys(gateways()), ['n1', 'n2'], 'nothing is kept of a failed try')
  await store.update((tx) => tx.remove('node', 'n2'))
  await settle(store)
  await assign(store, 't4', 'n3')
  t.same(Object.keys(gateways()), ['n1', 'n3'])
  await allocator.stop()
})

t.test('an IP range: everything comes from it, whatever the subnet', async (t) => {
  const { store, allocator } = newAllocator()
  const web = service('web', ['r'])
  const asked = network('r', '10.30.0.0/16')
  const Configs = [{ Subnet: '10.30.0.0/16', Range: '10.30.8.16/29' }]
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    for (const i of [1, 2]) tx.put('node', sampleNode(`n${i}`, i))
    tx.put('network', { ...asked, Spec: { ...asked.Spec, IPAMOptions: { Configs } } })
    tx.put('service', web)
    for (let i = 1; i <= 6; i++) tx.put('task', taskOf(`t${i}`, web))
  })
  allocator.start()
  await settle(store)
  t.match(store.view().get('network', 'r'), {
    IPAMOptions: { Configs },
    Swarmctl: { Plan: 'flat' },
  })
  t.equal(store.view().get('service', 'web')?.Endpoint.VirtualIPs?.[0]?.Addr, '10.30.8.23/16')
  for (const [task, node] of Object.entries({ t1: 'n1', t2: 'n2', t3: 'n1', t4: 'n2', t5: 'n1' }))
    await assign(store, task, node)
  t.same(
    ['t1', 't2', 't3', 't4', 't5'].flatMap((id) => addressesOf(store, id)),
    ['21', '19', '18', '17', '16'].map((last) => `10.30.8.${last}/16`),
  )
  t.same(store.view().get('network', 'r')?.Swarmctl.Gateways, {
    n1: '10.30.8.22',
    n2: '10.30.8.20',
  })
  await t.rejects(assign(store, 't6', 'n1'), /network r has no free address left in its IP range/)
  await allocator.stop()
})

t.test('IPv6: the subnet of twins, asked for or of the cluster’s own prefix', async (t) => {
  const { store, allocator } = newAllocator()
  const pools = {
    off: undefined,
    derived: [],
    asked: [{ Subnet: 'fd00:1::/64' }],
    both: [{ Subnet: 'fd00:2::/120' }, { Subnet: '10.9.0.0/24' }],
    narrow: [{ Subnet: 'fd00:3::/113' }],
  }
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    for (const [id, Configs] of Object.entries(pools)) {
      const { Spec, ...rest } = network(id)
      const IPAMOptions = { Configs: Configs ?? [] }
      const IPv6Enabled = Configs !== undefined
      tx.put('network', { ...rest, Spec: { ...Spec, IPv6Enabled, IPAMOptions } })
    }
  })
  allocator.start()
  await settle(store)
  const of = (id: string) => store.view().get('network', id)!
  t.equal(of('off').IPAMOptions.Configs.length, 1)
  t.match(of('asked').IPAMOptions.Configs, [
    { Subnet: /^10\.\d+\.0\.0\/16$/ },
    { Subnet: 'fd00:1::/64', Gateway: /^fd00:1::a[\da-f]{2}:1$/ },
  ])
  t.match(of('both').IPAMOptions.Configs, [{ Subnet: '10.9.0.0/24' }, { Subnet: 'fd00:2::/120' }])
  t.same(of('narrow').IPAMOptions.Configs, [], 'its /16 does not fit: it waits')
  const site = sitePrefix('cluster1')
  const derived = ipv6SubnetOf(of('derived').IPAMOptions.Configs)!
  t.match(formatIpv6Cidr(site), /^fd[\da-f]{2}:[\da-f]{1,4}:[\da-f]{1,4}::\/48$/)
  t.same(derived, { first: site.first + (BigInt(of('derived').Swarmctl.Index) << 64n), prefix: 64 })
  t.not(sitePrefix('cluster2').first, site.first)
  const conflict = (text: string) => ipv6Conflict(store.view(), parseIpv6Cidr(text)!, 'new')
  t.match(conflict('fd00:1::/80'), /overlaps fd00:1::\/64, network asked/)
  t.match(conflict(formatIpv6Cidr(derived)), /networks without a subnet of their own/)
  t.match(conflict('fd00:3::/64'), /network narrow/, 'asked for before')
  t.equal(conflict('fd00:4::/64'), undefined)
  const task = (id: string, State: 'running' | 'complete', Subnet: string) => ({
    ...sampleTask(id, 'web'),
    Status: { ...sampleTask(id, 'web').Status, State },
    NetworksAttachments: [
      { Network: { ...network('gone'), IPAMOptions: { Configs: [{ Subnet }] } }, Addresses: [] },
    ],
  })
  await store.update((tx) => {
    tx.put('task', task('draining', 'running', 'fd00:4::/64'))
    tx.put('task', task('ended', 'complete', 'fd00:5::/64'))
  })
  await store.update((tx) => {
    const node = sampleNode('n9', 9)
    const Swarmctl = { ...node.Description.Swarmctl, HostSubnets6: ['fd00:6:0:8::/61'] }
    tx.put('node', { ...node, Description: { ...node.Description, Swarmctl } })
  })
  t.match(conflict('fd00:6:0:9::/64'), /overlaps fd00:6:0:8::\/61, a route of node host-9$/)
  t.equal(conflict('fd00:6::/64'), undefined)
  t.equal(conflict('fd00:4::/48'), undefined, 'soon it is free')
  const IPAMOptions = { Configs: [{ Subnet: 'fd00:4::/64' }] }
  const again = network('again')
  await store.update((tx) =>
    tx.put('network', { ...again, Spec: { ...again.Spec, IPv6Enabled: true, IPAMOptions } }),
  )
  await settle(store)
  t.same(of('again').IPAMOptions.Configs, [], 'when its last task has ended')
  await store.update((tx) => tx.put('task', task('draining', 'complete', 'fd00:4::/64')))
  await settle(store)
  t.match(of('again').IPAMOptions.Configs, [{}, { Subnet: 'fd00:4::/64' }])
  await allocator.stop()
})

t.test('the ranges of the block plan', async (t) => {
  const subnet = { subnet: parseCidr('10.0.0.0/16')! }
  const text = ({ first, last }: { first: number; last: number }) =>
    [first, last].map((a) => [24, 16, 8, 0].map((bits) => (a >>> bits) & 255).join('.'))
  t.same(text(vipRange(subnet)), ['10.0.0.2', '10.0.0.254'])
  t.same(text(taskRange(subnet, 1)), ['10.0.1.2', '10.0.1.254'])
  t.same(text(taskRange(subnet, 254)), ['10.0.254.2', '10.0.254.254'])
  t.throws(() => taskRange(subnet, 255), /node index/)
  t.same(text(taskRange({ subnet: parseCidr('10.0.0.0/24')! }, 9)), ['10.0.0.1', '10.0.0.254'])
})
