/** What one node says of its host's networks does not stop the networks of all, or is named where it does. */
import t from 'tap'
import { parseCidr } from '../../../src/api/ipv4.ts'
import { parseIpv6Cidr } from '../../../src/api/ipv6.ts'
import { ipv6Conflict } from '../../../src/manager/allocator/ipv6-subnets.ts'
import { allocateNetwork, subnetConflict } from '../../../src/manager/allocator/subnets.ts'
import type { Store } from '../../../src/manager/store/store.ts'
import { network, newAllocator, settle } from '../../support/allocating.ts'
import { sampleCluster, sampleNode } from '../../support/objects.ts'

const say = (store: Store, index: number, HostSubnets: string[], HostSubnets6: string[] = []) =>
  store.update((tx) => {
    const node = sampleNode(`n${index}`, index)
    const Swarmctl = { ...node.Description.Swarmctl, HostSubnets, HostSubnets6 }
    tx.put('node', { ...node, Description: { ...node.Description, Swarmctl } })
  })

const startWith = async (store: Store, pool: string) =>
  store.update((tx) => tx.put('cluster', { ...sampleCluster(), DefaultAddrPool: [pool] }))

const asked = { withRequested: true, withEnding: false }

t.test('a route that is wider than any network of a host is none', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => tx.put('cluster', sampleCluster()))
  await say(store, 1, ['0.0.0.0/1', '128.0.0.0/1', '8.0.0.0/7'], ['::/1', '8000::/1', 'fc00::/7'])
  allocator.start()
  await store.update((tx) => {
    tx.put('network', network('auto'))
    tx.put('network', network('mine', '10.77.0.0/16'))
  })
  await settle(store)
  const subnet = (id: string) => store.view().get('network', id)!.IPAMOptions.Configs[0]?.Subnet
  t.match(subnet('auto'), /^10\./)
  t.equal(subnet('mine'), '10.77.0.0/16')
  t.equal(subnetConflict(store.view(), parseCidr('10.78.0.0/16')!, 'new', asked), undefined)
  t.equal(ipv6Conflict(store.view(), parseIpv6Cidr('fd00:1::/64')!, 'new'), undefined)
  await allocator.stop()
})

t.test('where nodes leave no subnet, they are named with what they say', async (t) => {
  const { store } = newAllocator()
  await startWith(store, '10.8.0.0/14')
  const reason = () => {
    const result = allocateNetwork(store.view(), network('new'))
    return result.kind === 'blocked' ? result.reason : undefined
  }
  await say(store, 1, ['172.17.0.0/16', '10.8.1.0/24'])
  t.equal(reason(), undefined)
  await say(store, 2, ['10.0.0.0/8'])
  t.equal(
    reason(),
    'network new: no free subnet is left in the address pool 10.8.0.0/14: in the way is 10.0.0.0/8, a route of node host-2; 10.8.1.0/24, a route of node host-1: remove the route or the node, or give the network a subnet elsewhere with --subnet',
  )
  t.equal(
    subnetConflict(store.view(), parseCidr('10.9.0.0/16')!, 'new', asked),
    'subnet 10.9.0.0/16 overlaps 10.0.0.0/8, a route of node host-2',
  )
  const narrow = Array.from({ length: 9 }, (_, at) => `10.${8 + (at % 4)}.${at}.0/24`)
  await say(store, 2, narrow)
  t.match(
    reason(),
    /in the way is (10\.\d+\.\d+\.0\/24, a route of node host-\d(; |)){3} \(and 7 more\): /,
  )
  await store.update((tx) => tx.remove('node', 'n2'))
  t.equal(reason(), undefined)
})

t.test('where networks alone leave no subnet, no node is named', async (t) => {
  const { store, allocator } = newAllocator()
  await startWith(store, '10.8.0.0/16')
  await say(store, 1, ['10.8.1.0/24'])
  await store.update((tx) => tx.put('network', network('old', '10.8.2.0/24')))
  allocator.start()
  await settle(store)
  const result = allocateNetwork(store.view(), network('new'))
  t.match(result, {
    kind: 'blocked',
    reason: /pool 10\.8\.0\.0\/16: remove networks, or give it one with --subnet$/,
  })
  await allocator.stop()
})
