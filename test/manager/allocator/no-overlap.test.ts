import fc from 'fast-check'
import t from 'tap'
import { addressOf, containsAddress, overlaps } from '../../../src/api/ipv4.ts'
import { subnetOf } from '../../../src/manager/allocator/subnets.ts'
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
import { sampleCluster, sampleNode } from '../../support/objects.ts'

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
