import fc from 'fast-check'
import t from 'tap'
import type { Clock } from '../../../src/api/clock.ts'
import { addressOf, containsAddress, overlaps, parseCidr } from '../../../src/api/ipv4.ts'
import type { Log } from '../../../src/api/log.ts'
import type { Service } from '../../../src/api/service.ts'
import type { PortConfig } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import { taskRange, vipRange } from '../../../src/manager/allocator/address-plan.ts'
import { Allocator } from '../../../src/manager/allocator/allocator.ts'
import { subnetOf } from '../../../src/manager/allocator/subnets.ts'
import { allocateTaskAddresses } from '../../../src/manager/allocator/task-addresses.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import {
  sampleCluster,
  sampleNetwork,
  sampleNode,
  sampleService,
  sampleTask,
} from '../../support/objects.ts'

const clock: Clock = { nowMs: () => 1_700_000_000_000, schedule: () => () => {} }
const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }

const newAllocator = () => {
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  let count = 0
  const allocator = new Allocator({ store, clock, log, newId: () => `made-${++count}` })
  return { store, allocator }
}

/** Runs until the allocator has nothing left to write: every step is a microtask. */
const settle = async (store: Store): Promise<void> => {
  for (let quiet = 0, index = -1; quiet < 50; quiet++) {
    if (store.view().index !== index) quiet = 0
    index = store.view().index
    await null
  }
}

const network = (id: string, subnet?: string) => {
  const made = sampleNetwork(id, id)
  const Configs = subnet === undefined ? [] : [{ Subnet: subnet }]
  return { ...made, Spec: { ...made.Spec, IPAMOptions: { Configs } } }
}

const service = (id: string, networks: string[], ports: PortConfig[] = []): Service => {
  const made = sampleService(id, id)
  const Networks = networks.map((Target) => ({ Target, Aliases: [`alias-${id}`] }))
  return {
    ...made,
    Spec: {
      ...made.Spec,
      TaskTemplate: { ...made.Spec.TaskTemplate, Networks },
      EndpointSpec: { Mode: 'vip', Ports: ports },
    },
  }
}

const taskOf = (id: string, owner: Service, change: Partial<Task> = {}): Task => {
  const task = sampleTask(id, owner.ID)
  return {
    ...task,
    Spec: owner.Spec.TaskTemplate,
    Swarmctl: { ...task.Swarmctl, Endpoint: owner.Spec.EndpointSpec ?? {} },
    ...change,
  }
}

const dynamic = (TargetPort: number): PortConfig => ({
  Protocol: 'tcp',
  TargetPort,
  PublishMode: 'ingress',
})

const assign = (store: Store, taskId: string, nodeId: string) =>
  store.update((tx) => {
    const Status = { Timestamp: '', State: 'assigned', Message: '' } as const
    const task = { ...tx.get('task', taskId)!, NodeID: nodeId, Status }
    tx.put('task', allocateTaskAddresses(tx, task, nodeId))
  })

const end = (store: Store, taskId: string) =>
  store.update((tx) => {
    const Status = { Timestamp: '', State: 'shutdown', Message: '' } as const
    tx.put('task', { ...tx.get('task', taskId)!, Status })
  })

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
    t.equal(store.view().get('service', 'web')?.Endpoint.VirtualIPs?.[0]?.Addr, '10.20.0.2/16')
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
  t.same(gateways(), { n1: '10.7.7.2', n2: '10.7.7.5' })
  t.same(
    ['t1', 't2', 't3'].flatMap((id) => addressesOf(store, id)),
    ['10.7.7.3/29', '10.7.7.4/29', '10.7.7.6/29'],
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

t.test('the ranges of the block plan', async (t) => {
  const subnet = parseCidr('10.0.0.0/16')!
  const text = ({ first, last }: { first: number; last: number }) =>
    [first, last].map((a) => [24, 16, 8, 0].map((bits) => (a >>> bits) & 255).join('.'))
  t.same(text(vipRange(subnet)), ['10.0.0.2', '10.0.0.254'])
  t.same(text(taskRange(subnet, 1)), ['10.0.1.2', '10.0.1.254'])
  t.same(text(taskRange(subnet, 254)), ['10.0.254.2', '10.0.254.254'])
  t.throws(() => taskRange(subnet, 255), /node index/)
  t.same(text(taskRange(parseCidr('10.0.0.0/24')!, 9)), ['10.0.0.1', '10.0.0.254'])
})

type Step =
  | { kind: 'network'; id: number; subnet: string | undefined }
  | { kind: 'service'; id: number; networks: number[]; isPublished: boolean }
  | { kind: 'remove-service' | 'remove-network'; id: number }
  | { kind: 'task' | 'assign' | 'end' | 'remove-task'; id: number; other: number }

const small = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('network' as const),
    id: small,
    subnet: fc.constantFrom(undefined, '10.0.0.0/16', '10.1.4.0/29', '10.1.0.0/24', '10.2.0.0/15'),
  }),
  fc.record({
    kind: fc.constant('service' as const),
    id: small,
    networks: fc.uniqueArray(small, { maxLength: 3 }),
    isPublished: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('remove-service' as const, 'remove-network' as const),
    id: small,
  }),
  fc.record({
    kind: fc.constantFrom(
      'task' as const,
      'assign' as const,
      'assign' as const,
      'end' as const,
      'remove-task' as const,
    ),
    id: fc.nat(9),
    other: small,
  }),
)

const take = async (store: Store, each: Step): Promise<void> => {
  const view = store.view()
  switch (each.kind) {
    case 'network': {
      const id = `net${each.id}`
      if (!view.get('network', id))
        await store.update((tx) => tx.put('network', network(id, each.subnet)))
      return
    }
    case 'service': {
      const id = `s${each.id}`
      const networks = each.networks.map((n) => `net${n}`).filter((n) => view.get('network', n))
      const wanted = service(id, networks, each.isPublished ? [dynamic(80)] : [])
      const old = view.get('service', id)
      await store.update((tx) => tx.put('service', old ? { ...old, Spec: wanted.Spec } : wanted))
      return
    }
    case 'remove-service':
      if (view.get('service', `s${each.id}`))
        await store.update((tx) => tx.remove('service', `s${each.id}`))
      return
    case 'remove-network': {
      const id = `net${each.id}`
      const isUsed = view
        .list('service')
        .some((s) => s.Spec.TaskTemplate.Networks?.some(({ Target }) => Target === id))
      if (!isUsed && view.get('network', id)) await store.update((tx) => tx.remove('network', id))
      return
    }
    case 'task': {
      const owner = view.get('service', `s${each.other}`)
      if (owner && !view.get('task', `t${each.id}`)) {
        await store.update((tx) => tx.put('task', taskOf(`t${each.id}`, owner)))
      }
      return
    }
    case 'assign':
      if (view.get('task', `t${each.id}`)?.Status.State !== 'pending') return
      // Full subnets and networks that went away are part of the game.
      await assign(store, `t${each.id}`, `n${each.other + 1}`).catch((error) => {
        if (error.code !== 'FAILED_PRECONDITION') throw error
      })
      return
    case 'end':
      if (view.get('task', `t${each.id}`)) await end(store, `t${each.id}`)
      return
    case 'remove-task':
      if (view.get('task', `t${each.id}`))
        await store.update((tx) => tx.remove('task', `t${each.id}`))
      return
    default:
      each satisfies never
  }
}

/** Counted anew from the objects, not from the store's claims. */
const violations = (store: Store): string[] => {
  const view = store.view()
  const found: string[] = []
  const holders = new Map<string, string>()
  const hold = (networkId: string, text: string, holder: string) => {
    const key = `${networkId} ${text.split('/')[0]}`
    if (holders.has(key)) found.push(`${key}: ${holders.get(key)} and ${holder}`)
    holders.set(key, holder)
    const subnet = view.get('network', networkId) && subnetOf(view.get('network', networkId)!)
    if (subnet && !containsAddress(subnet, addressOf(text)!))
      found.push(`${key} outside its subnet`)
  }
  for (const s of view.list('service')) {
    for (const { NetworkID, Addr } of s.Endpoint.VirtualIPs ?? []) hold(NetworkID, Addr, s.ID)
  }
  for (const task of view.list('task')) {
    if (task.Status.State === 'shutdown') continue
    for (const { Network, Addresses } of task.NetworksAttachments ?? []) {
      for (const address of Addresses) hold(Network.ID, address, task.ID)
    }
  }
  const networks = view.list('network')
  for (const n of networks) {
    for (const [node, address] of Object.entries(n.Swarmctl.Gateways)) hold(n.ID, address, node)
    for (const other of networks) {
      const [a, b] = [subnetOf(n), subnetOf(other)]
      if (n !== other && a && b && overlaps(a, b)) found.push(`${n.ID} overlaps ${other.ID}`)
    }
  }
  const ports = view
    .list('service')
    .flatMap((s) => s.Endpoint.Ports ?? [])
    .map((p) => p.PublishedPort)
  if (new Set(ports).size !== ports.length) found.push(`ports ${ports}`)
  return found
}

t.test('whatever happens, no address has two holders and no subnets overlap', async (t) => {
  const run = fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const { store, allocator } = newAllocator()
      await store.update((tx) => {
        tx.put('cluster', sampleCluster({ DefaultAddrPool: ['10.0.0.0/13'] }))
        for (const i of [1, 2, 3, 4]) tx.put('node', sampleNode(`n${i}`, i))
      })
      allocator.start()
      for (const each of steps) {
        await take(store, each)
        await settle(store)
      }
      await allocator.stop()
      const found = violations(store)
      if (found.length > 0) throw new Error(found.join('\n'))
    }),
    { numRuns: 60 },
  )
  await t.resolves(run)
})
