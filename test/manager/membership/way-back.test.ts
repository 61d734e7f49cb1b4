import t from 'tap'
import type { Node } from '../../../src/api/node.ts'
import {
  forgetOtherManagers,
  removeNodes,
} from '../../../src/manager/membership/forget-managers.ts'
import { readManagers, WayBack } from '../../../src/manager/membership/way-back.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleCluster, sampleNode } from '../../support/objects.ts'

const node = (ID: string, role: 'worker' | 'manager', state: Node['Status']['State']): Node => {
  const base = sampleNode(ID, ID.charCodeAt(0))
  return {
    ...base,
    Spec: { ...base.Spec, Role: role },
    Status: { ...base.Status, State: state },
    Swarmctl: { ...base.Swarmctl, ObservedRole: role, Addr: `${ID}:2377` },
    ...(role === 'manager' && {
      ManagerStatus: { Reachability: 'reachable' as const, Addr: `${ID}:2377` },
    }),
  }
}

const storeOf = async (nodes: readonly Node[]) => {
  const state = new StoreState()
  const clock = { nowMs: () => 0, schedule: () => () => {} }
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    for (const one of nodes) tx.put('node', one)
  })
  return store
}

t.test('nodes that are away are told where the managers are', async (t) => {
  const store = await storeOf([
    node('a', 'manager', 'ready'),
    node('b', 'worker', 'down'),
    node('c', 'worker', 'ready'),
    node('d', 'manager', 'down'),
  ])
  const told: unknown[] = []
  let tick = () => {}
  let isStopped = false
  const clock = {
    nowMs: () => 0,
    schedule: (_ms: number, run: () => void) => {
      tick = run
      return () => {
        isStopped = true
      }
    },
  }
  const wayBack = new WayBack(
    { store, clock, notify: (to, method, body) => told.push([to.nodeId, to.addr, method, body]) },
    { selfId: 'a' },
  )
  wayBack.start()
  tick()
  t.match(told, [
    ['b', 'b:2377', 'cluster.managers', { managers: [{ nodeId: 'a', addr: 'a:2377' }, {}] }],
    ['d', 'd:2377', 'cluster.managers'],
  ])
  t.equal(told.length, 2)
  wayBack.stop()
  t.ok(isStopped)
  const list = readManagers((told[0] as unknown[])[3])
  t.match(list, { managers: { length: 2 }, asOf: store.view().index })
  for (const bad of [
    null,
    {},
    { managers: [{ nodeId: 1 }] },
    { managers: 'x' },
    { managers: [] },
  ]) {
    t.equal(readManagers(bad), undefined)
  }
})

t.test('a survivor forgets the other managers, and only those', async (t) => {
  const store = await storeOf([
    node('a', 'manager', 'ready'),
    node('b', 'worker', 'ready'),
    node('c', 'manager', 'down'),
  ])
  await store.update((tx) => forgetOtherManagers(tx, { nodeId: 'a', addr: 'new:2377' }))
  const ids = () =>
    store
      .view()
      .list('node')
      .map(({ ID }) => ID)
  t.strictSame(ids(), ['a', 'b'])
  t.equal(store.view().get('node', 'a')?.Swarmctl.Addr, 'new:2377')
  t.strictSame(store.view().cluster()?.Swarmctl.RemovedNodes, ['c'])
  await store.update((tx) => forgetOtherManagers(tx, { nodeId: 'a', addr: 'new:2377' }))
  t.strictSame(store.view().cluster()?.Swarmctl.RemovedNodes, ['c'], 'again: nothing more')
  await store.update((tx) => removeNodes(tx, ['b']))
  t.strictSame(store.view().cluster()?.Swarmctl.RemovedNodes, ['c', 'b'])
})
