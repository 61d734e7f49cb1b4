import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import type { TaskState } from '../../../src/api/task-state.ts'
import { TaskReaper } from '../../../src/manager/orchestrator/task-reaper.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleCluster, sampleNode, sampleService, sampleTask } from '../../support/objects.ts'
import { settle, VirtualClock } from '../../support/orchestration/virtual-clock.ts'
import { noLog } from '../../support/rpc/cluster-fixture.ts'

const status = (State: TaskState) => ({ Timestamp: '', State, Message: '' })

const attachment = (id: string, State: TaskState): Task =>
  sampleTask(id, '', {
    Spec: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: `c-${id}` } },
    NodeID: 'n1',
    Status: status(State),
    DesiredState: 'running',
  })

t.test('attachments go when they have ended, also those that ended before', async (t) => {
  const clock = new VirtualClock()
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', sampleNode('n1', 1))
    tx.put('service', sampleService('web', 'web'))
    // A service keeps its last task, whatever became of it.
    tx.put('task', sampleTask('t1', 'web', { NodeID: 'n1', Status: status('failed'), Slot: 1 }))
    for (const id of ['a', 'b', 'c']) tx.put('task', attachment(id, 'running'))
    tx.put('task', attachment('old', 'complete'))
  })
  const reaper = new TaskReaper({ store, clock, log: noLog })
  reaper.start()
  t.teardown(() => reaper.stop())
  const ids = async () => {
    await settle()
    const tasks = store.view().list('task')
    return tasks.map(({ ID }) => ID).sort()
  }
  t.strictSame(await ids(), ['a', 'b', 'c', 't1'])
  await store.update((tx) => tx.put('task', attachment('a', 'complete')))
  t.strictSame(await ids(), ['b', 'c', 't1'])
  await store.update((tx) => tx.remove('node', 'n1'))
  t.strictSame(await ids(), ['t1'], 'those of a node that was removed end with it')
})
