import type { Clock } from '../../../src/api/clock.ts'
import { newId } from '../../../src/api/id.ts'
import { createCluster } from '../../../src/manager/ca/create-cluster.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { realClock } from '../rpc/cluster-fixture.ts'

/** A new cluster of one manager, in that manager's store; `clock` is the store's. */
export const storedCluster = async (clock: Clock = realClock) => {
  const created = await createCluster(
    { clock: realClock, newId },
    { spec: { Name: 'default', Labels: {} }, addr: '127.0.0.1:2377', hostname: 'first' },
  )
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  await store.update((tx) => {
    tx.put('cluster', created.cluster)
    tx.put('node', created.node)
  })
  return { ...created, store }
}
