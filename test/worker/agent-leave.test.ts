/** What an agent was just doing when it ends, or when its node leaves. */
import t, { type Test } from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { engineConcurrency } from '../../src/worker/limits.ts'
import { sampleNode } from '../support/objects.ts'
import { agentTask, startBench } from '../support/worker/agent-bench.ts'

const TASKS = 40
const CREATE_MS = 200

/** Containers are just being created, and more wait for their turn. */
const creating = async (t: Test) => {
  const b = await startBench(t)
  const create = b.executor.create.bind(b.executor)
  let begun = 0
  b.executor.create = async (plan) => {
    begun += 1
    await new Promise<void>((resolve) => b.clock.schedule(CREATE_MS, resolve))
    return create(plan)
  }
  const tasks = Array.from({ length: TASKS }, (_, i) => agentTask(`t${i}`))
  b.manager.assign(true, { tasks })
  await b.settle()
  const { NanoCPUs } = sampleNode('n1', 1).Description.Resources
  t.equal(begun, engineConcurrency(NanoCPUs / 1e9))
  return { b, begun: () => begun }
}

t.test('a node that leaves while containers wait to be created leaves none behind', async (t) => {
  const { b, begun } = await creating(t)
  await b.clock.advance(CREATE_MS)
  t.ok(b.executor.containers.size > 0)
  const before = begun()
  const left = b.agent.removeAll()
  await b.clock.advance(10 * CREATE_MS)
  await left
  await b.clock.advance(60_000)
  t.strictSame([...b.executor.containers.values()], [])
  t.equal(begun(), before, 'no further one was begun')
  t.ok(before < TASKS)
  t.equal(b.overlay.calls.at(-1), 'destroy')
})

t.test('one that is being started is not left running', async (t) => {
  const b = await startBench(t)
  const start = b.executor.start.bind(b.executor)
  b.executor.start = async (id) => {
    await new Promise<void>((resolve) => b.clock.schedule(CREATE_MS, resolve))
    return start(id)
  }
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  t.equal(b.executor.of('t1')?.status, 'created')
  const left = b.agent.removeAll()
  await b.clock.advance(CREATE_MS)
  await left
  t.strictSame(b.executor.calls.slice(-2), ['start t1', 'remove t1'])
})

t.test('networks and secrets of a task that was being prepared go with the node', async (t) => {
  const b = await startBench(t)
  const attach = b.overlay.attach.bind(b.overlay)
  b.overlay.attach = async (task) => {
    await new Promise<void>((resolve) => b.clock.schedule(CREATE_MS, resolve))
    return attach(task)
  }
  const tasks = ['t1', 't2'].map((id) => agentTask(id, {}, true))
  b.manager.assign(true, { tasks })
  await b.settle()
  const left = b.agent.removeAll()
  await b.clock.advance(10 * CREATE_MS)
  await left
  t.strictSame(b.overlay.calls.slice(-2), ['attach t1', 'destroy'], 'the second one waited')
  t.equal(b.executor.containers.size, 0)
})

t.test('a node that begins anew creates nothing behind its back', async (t) => {
  const { b, begun } = await creating(t)
  const before = begun()
  const said = b.manager.history('t39').length
  await b.agent.stop()
  // The new agent has nothing to make.
  b.disk.tasks.clear()
  await b.start()
  b.manager.assign(true, { tasks: [] })
  await b.clock.advance(60_000)
  t.equal(begun(), before, 'what the agent before had not begun')
  t.equal(b.manager.history('t39').length, said, 'and of which it says nothing')
})

t.test('what can’t be removed is named, and keeps nothing else here', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: ['t1', 't2', 't3'].map((id) => agentTask(id)) })
  await b.settle()
  const damaged = b.executor.of('t2')?.id
  const remove = b.executor.remove.bind(b.executor)
  b.executor.remove = async (id) => {
    if (id === damaged) throw new SwarmctlError('INTERNAL', 'no such layer')
    return remove(id)
  }
  const record = { networkId: 'net1', networkName: 'back', aliases: [], isFixed: false }
  const endpoints = [{ dockerNetwork: 'swarmctl-1', address: '10.1.1.9', record }]
  b.alone.put({ id: 'alone', name: 'alone', phase: 'up', pid: 7, endpoints })
  await t.rejects(b.agent.removeAll(), {
    code: 'INTERNAL',
    message: "1 of 3 containers can't be removed (container2): no such layer",
  })
  t.strictSame([...b.executor.containers.keys()], [damaged])
  t.equal(b.overlay.calls.at(-1), 'destroy')
  t.strictSame(b.alone.calls, ['disconnect alone swarmctl-1'])
})
