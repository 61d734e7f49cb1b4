import t from 'tap'
import { PORTS_MAX } from '../../../src/api/defaults.ts'
import type { TaskStatus } from '../../../src/api/task.ts'
import { Liveness } from '../../../src/manager/dispatcher/liveness.ts'
import { Rotation } from '../../../src/manager/dispatcher/rotation.ts'
import { StatusWriter } from '../../../src/manager/dispatcher/status-writer.ts'
import { Bench, overlay, startBench, taskOn } from '../../support/dispatcher/bench.ts'
import { sampleCluster, sampleNode } from '../../support/objects.ts'
import { settle } from '../../support/orchestration/virtual-clock.ts'
import { quietLog } from '../../support/orchestration/world.ts'

const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])

t.test('what an agent says of itself reaches no script of the others unchecked', async (t) => {
  const good = sampleNode('n1', 1).Description
  const withSwarmctl = (change: object) => ({
    description: { ...good, Swarmctl: { ...good.Swarmctl, ...change } },
  })
  const bad: [string, object][] = [
    ['commands', withSwarmctl({ DataPathAddr: '10.0.0.1\nlink del eth0' })],
    ['not four octets', withSwarmctl({ DataPathAddr: '10.0.0.1 }' })],
    ['a subnet', withSwarmctl({ HostSubnets: ['10.0.0.0/8; flush ruleset'] })],
    ['a subnet of IPv6', withSwarmctl({ HostSubnets6: ['fd00::/8; flush ruleset'] })],
    ['a plane', withSwarmctl({ DataPlane: 'none' })],
    ['no description', { description: undefined }],
    ['half a description', { description: { Hostname: 'x' } }],
    ['a hostname', { description: { ...good, Hostname: 'a\nb' } }],
    ['an address', { addr: 'h/../x:1' }],
    ['without an end', { description: { ...good, novelty: nested(1000) } }],
  ]
  for (const [name, change] of bad) {
    const b = await startBench()
    const agent = b.connect('n1', change as never)
    await b.settle()
    t.match(await agent.ended, /not valid/, name)
    t.equal(b.store.view().get('node', 'n1')?.Status.State, 'unknown', name)
  }
  const b = await startBench()
  const agent = b.connect('n1')
  await b.settle()
  await agent.say({ kind: 'description', ...withSwarmctl({ DataPathAddr: 'x' }) } as never)
  await b.settle()
  t.equal(await agent.ended, 'aborted')
  const other = b.connect('n1')
  await b.settle()
  const status = { Timestamp: '', State: 'gone', Message: '' }
  await other.say({ kind: 'task-status', updates: [{ taskId: 't', status }] } as never)
  await b.settle()
  t.equal(await other.ended, 'aborted')
})

t.test('of the networks that a node is on it may tell of some', async (t) => {
  const b = await startBench()
  const good = sampleNode('n1', 1).Description
  const HostSubnets = Array.from({ length: 200 }, (_, at) => `10.${at}.0.0/16`)
  const HostSubnets6 = Array.from({ length: 200 }, (_, at) => `fd00:${at}::/64`)
  const Swarmctl = { ...good.Swarmctl, HostSubnets, HostSubnets6 }
  const agent = b.connect('n1', { description: { ...good, Swarmctl } })
  await b.settle()
  t.equal(agent.all('session').length, 1)
  const known = b.store.view().get('node', 'n1')?.Description.Swarmctl
  t.strictSame(known?.HostSubnets, HostSubnets.slice(0, 64))
  t.strictSame(known?.HostSubnets6, HostSubnets6.slice(0, 64))
})

t.test('a status that no transaction could hold costs no other node its session', async (t) => {
  const b = await startBench()
  await b.store.update((tx) => {
    tx.put('node', sampleNode('n2', 2))
    for (const at of [1, 2]) tx.put('task', taskOn(`t${at}`, `n${at}`))
  })
  const [bad, good] = [b.connect('n1'), b.connect('n2')]
  await b.settle()
  const running = { Timestamp: '', State: 'running', Message: '' } as const
  const say = (agent: typeof bad, taskId: string, more: object = {}) =>
    agent.say({ kind: 'task-status', updates: [{ taskId, status: { ...running, ...more } }] })
  const Ports = Array.from({ length: PORTS_MAX }, (_, at) => ({
    ...{ Protocol: 'tcp', TargetPort: at, PublishedPort: 30_000 + at, PublishMode: 'host' },
  }))
  await Promise.all([say(bad, 't1', { novelty: 'x'.repeat(2_000_000) }), say(good, 't2')])
  await b.settle()
  t.equal(await bad.ended, 'aborted')
  t.equal(b.store.view().get('task', 't2')?.Status.State, 'running')
  await say(good, 't2', { PortStatus: { Ports }, Err: 'x'.repeat(5000) })
  await b.settle()
  t.equal(b.store.view().get('task', 't2')?.Status.PortStatus?.Ports?.length, PORTS_MAX)
  t.ok(b.dispatcher.connectedNodes.includes('n2'))
})

t.test('what a node says of the tasks of another hides nothing that this one says', async (t) => {
  const { store } = await startBench()
  await store.update((tx) => tx.put('task', taskOn('t1', 'n1')))
  const statuses = new StatusWriter({ store, log: quietLog, onLost: () => {} })
  const say = (nodeId: string, State: TaskStatus['State']) =>
    statuses.report(nodeId, [{ taskId: 't1', status: { Timestamp: '', State, Message: nodeId } }])
  await Promise.all([say('n1', 'running'), say('n2', 'failed'), say('n1', 'starting')])
  await settle()
  t.match(store.view().get('task', 't1')?.Status, { State: 'running', Message: 'n1' })
})

t.test('a status that the state refuses loses no other one', async (t) => {
  const { store } = await startBench()
  await store.update((tx) => {
    for (const at of [1, 2]) tx.put('task', taskOn(`t${at}`, 'n1'))
  })
  const lost: string[] = []
  const onLost = (nodes: Set<string>) => lost.push(...nodes)
  const statuses = new StatusWriter({ store, log: quietLog, onLost })
  const status = (Message: string) => ({ Timestamp: '', State: 'running', Message }) as const
  await statuses.report('n1', [
    { taskId: 't1', status: status('x'.repeat(2_000_000)) },
    { taskId: 't2', status: status('') },
  ])
  await settle()
  t.equal(store.view().get('task', 't1')?.Status.State, 'assigned')
  t.equal(store.view().get('task', 't2')?.Status.State, 'running')
  t.strictSame(lost, [], 'it would be refused again')
})

t.test('a clock that is set', async (t) => {
  const liveness = new Liveness({ stallMs: 1500 })
  liveness.sweep(10_000_000)
  liveness.heard('a', 10_000_000, 3000)
  liveness.heard('b', 10_000_000, 3000)
  // An hour back; b is heard of before the next sweep.
  liveness.heard('b', 6_400_100, 3000)
  t.same(liveness.sweep(6_400_250), [])
  for (let at = 6_400_500; at <= 6_403_100; at += 250) t.same(liveness.sweep(at), [], String(at))
  t.same(liveness.sweep(6_403_300).sort(), ['a', 'b'], 'silence is noticed by the new time')
  liveness.heard('c', 6_403_300, 3000)
  t.same(liveness.sweep(10_003_300), [], 'an hour on')
  t.same(liveness.sweep(10_004_700), [])
  t.same(liveness.sweep(10_006_100), [])
  t.same(liveness.sweep(10_006_400), ['c'])

  const rotation = new Rotation({ waitMaxMs: 3000 })
  rotation.add('t1', 'n1', 10_000_000)
  t.equal(rotation.release(0, 10_001_000).size, 0)
  t.equal(rotation.release(0, 6_400_000).size, 1, 'nobody waits for an hour')
})

t.test(
  'a new leader waits for the nodes that the last one had before a task may stop',
  async (t) => {
    const b = new Bench()
    await b.store.update((tx) => {
      tx.put('cluster', sampleCluster())
      tx.put('network', overlay('net1', 1))
      for (const at of [1, 2]) tx.put('node', sampleNode(`n${at}`, at))
      const going = {
        DesiredState: 'shutdown',
        Status: { Timestamp: '', State: 'running', Message: '' },
      }
      tx.put('task', taskOn('t1', 'n1', going as never, '10.1.1.20/16'))
    })
    b.dispatcher.start()
    const owner = b.connect('n1')
    await b.settle()
    const version = owner.all('overlay').at(-1)!.version
    await owner.say({ kind: 'overlay-applied', version })
    await b.settle()
    t.strictSame(owner.all('out-of-rotation'), [], 'n2 may still send to it')
    const other = b.connect('n2')
    await b.settle()
    t.strictSame(owner.all('out-of-rotation'), [], 'n2 has not said that its tables hold it')
    for (const agent of [owner, other]) {
      const latest = agent.all('overlay').at(-1)!.version
      await agent.say({ kind: 'overlay-applied', version: latest })
    }
    await b.settle()
    t.match(owner.all('out-of-rotation'), [{ taskIds: ['t1'] }])
  },
)

t.test('an Engine that describes itself strangely is one all the same', async (t) => {
  const b = await startBench()
  const good = sampleNode('n1', 1).Description
  const description = {
    ...good,
    Platform: { OS: 7 },
    Resources: { NanoCPUs: -1, MemoryBytes: Number.NaN, GenericResources: { GPU: 1 } },
    Engine: {},
    Swarmctl: { ...good.Swarmctl, EngineError: 'x'.repeat(10_000) },
  }
  const agent = b.connect('n1', { description } as never)
  await b.settle()
  t.equal(agent.all('session').length, 1)
  const known = b.store.view().get('node', 'n1')?.Description
  t.match(known, {
    Platform: { OS: '', Architecture: '' },
    Resources: { NanoCPUs: 0, MemoryBytes: 0, GenericResources: [] },
    Engine: { EngineVersion: '', Labels: {}, Plugins: [] },
  })
  t.equal(known?.Swarmctl.EngineError.length, 4096)
})
