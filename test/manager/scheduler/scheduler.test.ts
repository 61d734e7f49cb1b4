import t from 'tap'
import { precondition } from '../../../src/api/errors.ts'
import type { Task } from '../../../src/api/task.ts'
import { Scheduler } from '../../../src/manager/scheduler/scheduler.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleNode, sampleTask } from '../../support/objects.ts'
import { settle, VirtualClock } from '../../support/orchestration/virtual-clock.ts'
import { World, warningLog } from '../../support/orchestration/world.ts'

const pending = (id: string, change: Partial<Task> = {}): Task =>
  sampleTask(id, 'web', {
    Status: { Timestamp: '', State: 'pending', Message: '' },
    Spec: { Resources: { Reservations: { MemoryBytes: 5e9 } } },
    ...change,
  })

const start = (allocate: (task: Task) => Task = (task) => task) => {
  const clock = new VirtualClock()
  const state = new StoreState()
  const proposer = new MemoryProposer(state)
  const store = new Store({ state, proposer, clock })
  const warnings: string[] = []
  const scheduler = new Scheduler({
    store,
    clock,
    log: warningLog(warnings),
    allocateTaskAddresses: (_tx, task) => allocate(task),
  })
  scheduler.start()
  return { clock, store, proposer, scheduler, warnings }
}

t.test('a waiting task says why, once, and is placed when there is room', async (t) => {
  const { store, proposer } = start()
  await store.update((tx) => tx.put('node', sampleNode('n1', 1)))
  await store.update((tx) => {
    tx.put('task', pending('t1'))
    tx.put('task', pending('t2'))
  })
  await settle()
  t.match(store.view().get('task', 't1'), { NodeID: 'n1', Status: { State: 'assigned' } })
  const waiting = store.view().get('task', 't2')
  t.match(waiting?.Status, {
    State: 'pending',
    Message: 'pending task scheduling',
    Err: 'no suitable node (node host-1: insufficient memory)',
  })
  const count = proposer.log.length
  await store.update((tx) => tx.put('node', sampleNode('n1', 1)))
  await settle()
  t.equal(proposer.log.length, count + 1, 'the same explanation is not written again')
  await store.update((tx) => {
    const task = tx.get('task', 't1')
    if (task === undefined) return
    tx.put('task', { ...task, Status: { Timestamp: '', State: 'failed', Message: '' } })
  })
  await settle()
  const placed = store.view().get('task', 't2')
  t.match(placed, { NodeID: 'n1', Status: { State: 'assigned' } })
  t.equal(placed?.Status.Err, undefined)
})

t.test('many tasks share a log entry; unwanted ones get no node', async (t) => {
  const { store, proposer } = start()
  const count = proposer.log.length
  await store.update((tx) => {
    for (let i = 1; i <= 40; i++) tx.put('node', sampleNode(`n${i}`, i))
    for (let i = 1; i <= 40; i++) tx.put('task', pending(`t${i}`))
    tx.put('task', pending('u1', { DesiredState: 'shutdown' }))
  })
  await settle()
  t.equal(proposer.log.length, count + 2, 'their creation, and all assignments')
  t.equal(
    store
      .view()
      .list('task')
      .filter((task) => task.NodeID !== '').length,
    40,
  )
  t.equal(store.view().get('task', 'u1')?.Status.State, 'pending')
})

t.test('no address on the chosen node: the task waits and says so', async (t) => {
  let isFull = true
  const { store, warnings } = start((task) => {
    if (isFull) throw precondition('network back has no free address left')
    return task
  })
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 1))
    tx.put('task', pending('t1'))
  })
  await settle()
  t.equal(
    store.view().get('task', 't1')?.Status.Err,
    'no suitable node (network back has no free address left)',
  )
  isFull = false
  await store.update((tx) => tx.put('node', sampleNode('n2', 2)))
  await settle()
  t.equal(store.view().get('task', 't1')?.Status.State, 'assigned')
  t.strictSame(warnings, [])
})

t.test('a stopped scheduler does nothing; a new one starts with what waits', async (t) => {
  const { store, scheduler, clock } = start()
  await scheduler.stop()
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 1))
    tx.put('task', pending('t1'))
  })
  await settle()
  t.equal(store.view().get('task', 't1')?.Status.State, 'pending')
  const next = new Scheduler({
    store,
    clock,
    log: warningLog([]),
    allocateTaskAddresses: (_tx, task) => task,
  })
  next.start()
  await settle()
  t.equal(store.view().get('task', 't1')?.Status.State, 'assigned')
  await next.stop()
})

t.test('a single replica leaves a node where it fails again and again', async (t) => {
  const world = await World.start(2)
  await world.createService('web', { image: 'broken-on:n1' })
  await world.clock.advance(20_000)
  t.strictSame(world.running('web'), [], 'a few failures are forgiven')
  await world.clock.advance(20_000)
  t.match(world.running('web'), [{ NodeID: 'n2' }], 'though only a few ended tasks are kept')
})
