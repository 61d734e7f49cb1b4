/** A network is removed and made again while tasks of the first one still end. */
import t from 'tap'
import { parseCidr } from '../../../src/api/ipv4.ts'
import { subnetConflict } from '../../../src/manager/allocator/subnets.ts'
import { network, newAllocator, settle } from '../../support/allocating.ts'
import { sampleCluster, sampleTask } from '../../support/objects.ts'

t.test(
  'a subnet that was asked for again comes when tasks of the network that had it have ended',
  async (t) => {
    const { store, allocator } = newAllocator()
    const task = (State: 'running' | 'complete') => ({
      ...sampleTask('t1', 'web'),
      Status: { ...sampleTask('t1', 'web').Status, State },
      NetworksAttachments: [
        {
          Network: {
            ...network('gone'),
            IPAMOptions: { Configs: [{ Subnet: '172.28.5.0/24' }] },
          },
          Addresses: [],
        },
      ],
    })
    await store.update((tx) => {
      tx.put('cluster', sampleCluster())
      tx.put('task', task('running'))
    })
    allocator.start()
    await settle(store)
    const isNew = { withRequested: true, withEnding: false }
    const block = parseCidr('172.28.5.0/24')!
    t.equal(subnetConflict(store.view(), block, 'again', isNew), undefined, 'it may be made')
    await store.update((tx) => tx.put('network', network('again', '172.28.5.0/24')))
    await settle(store)
    const given = () => store.view().get('network', 'again')?.IPAMOptions.Configs
    t.same(given(), [])
    await store.update((tx) => tx.put('task', task('complete')))
    await settle(store)
    t.match(given(), [{ Subnet: '172.28.5.0/24' }])
    await allocator.stop()
  },
)
