import t from 'tap'
import type { Cluster } from '../../../src/api/swarm.ts'
import type { Task } from '../../../src/api/task.ts'
import type { TaskState } from '../../../src/api/task-state.ts'
import { createRootCA } from '../../../src/pki/root-ca.ts'
import { Bench, type FakeAgent, overlay, taskOn } from '../../support/dispatcher/bench.ts'
import { sampleCluster, sampleNode, sampleSecret } from '../../support/objects.ts'
import { realClock } from '../../support/rpc/cluster-fixture.ts'
import { MemoryStream } from '../../support/worker/memory-stream.ts'

const bench = async (nodes: number): Promise<Bench> => {
  const b = new Bench()
  await b.store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('network', overlay('net1', 1))
    for (let i = 1; i <= nodes; i++)
      tx.put('node', sampleNode(`n${i}`, i, { Status: { State: 'unknown', Addr: '' } }))
  })
  b.dispatcher.start()
  return b
}

/** Silence is fatal, so agents beat while time passes. */
const pass = async (b: Bench, agents: FakeAgent[], ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 500) {
    for (const agent of agents) await agent.say({ kind: 'heartbeat' })
    await b.clock.advance(Math.min(500, left))
  }
}

const setTask = (b: Bench, id: string, change: Partial<Task>): Promise<void> =>
  b.store.update((tx) => tx.put('task', { ...tx.get('task', id)!, ...change }))

const status = (State: TaskState, Err?: string) => ({
  Timestamp: '2026-01-01T00:00:00Z',
  State,
  Message: State,
  ...(Err === undefined ? {} : { Err }),
})

t.test('a session registers the node and begins with everything', async (t) => {
  const b = await bench(2)
  await b.store.update((tx) => {
    tx.put('secret', sampleSecret('s1', 'mine'))
    tx.put('secret', sampleSecret('s2', 'others'))
    const spec = (SecretID: string) => ({
      ContainerSpec: {
        Image: 'x',
        Secrets: [
          { SecretID, SecretName: SecretID, File: { Name: 'f', UID: '0', GID: '0', Mode: 292 } },
        ],
      },
    })
    tx.put('task', taskOn('t1', 'n1', { Spec: spec('s1') }))
    tx.put('task', taskOn('t2', 'n2', { Spec: spec('s2') }))
    tx.put('task', taskOn('t3', 'n1', { Status: status('pending') }))
  })
  const agent = b.connect('n1')
  await b.settle()
  t.match(
    agent.received.map(({ kind }) => kind),
    ['session', 'overlay', 'assignments'],
  )
  t.match(agent.last('session'), {
    index: 1,
    heartbeatPeriodMs: 1000,
    role: 'worker',
    rootCACert: 'cert',
  })
  const first = agent.last('assignments')
  t.match(first, { complete: true, sequence: 1 })
  t.strictSame(
    first.tasks.put.map(({ ID }) => ID),
    ['t1'],
    'its own assigned tasks alone',
  )
  t.strictSame(
    first.secrets.put.map(({ ID }) => ID),
    ['s1'],
    'only what its tasks need',
  )
  t.match(b.store.view().get('node', 'n1')?.Status, { State: 'ready', Addr: '192.168.0.1' })

  const writes = b.proposer.log.length
  b.connect('n1')
  await b.settle()
  t.equal(b.proposer.log.length, writes, 'registering again with the same words writes nothing')
  t.match(await agent.ended, /registered again/, 'the older session ends')
})

t.test('increments are chained, coalesced, and carry no echo of the status', async (t) => {
  const b = await bench(1)
  const agent = b.connect('n1')
  await b.settle()
  await b.store.update((tx) => tx.put('task', taskOn('t1', 'n1')))
  await b.clock.advance(0)
  t.equal(agent.all('assignments').length, 2, 'the first change goes out at once')
  for (const id of ['t2', 't3']) await b.store.update((tx) => tx.put('task', taskOn(id, 'n1')))
  await b.settle()
  t.match(agent.last('assignments'), { complete: false, sequence: 3 }, 'two changes in one message')
  t.strictSame(
    agent.last('assignments').tasks.put.map(({ ID }) => ID),
    ['t2', 't3'],
  )

  await agent.say({ kind: 'task-status', updates: [{ taskId: 't1', status: status('running') }] })
  await b.settle()
  t.equal(b.store.view().get('task', 't1')?.Status.State, 'running')
  t.equal(agent.all('assignments').length, 3)

  await b.store.update((tx) => tx.remove('task', 't2'))
  await setTask(b, 't1', { DesiredState: 'shutdown' })
  await b.settle()
  t.strictSame(agent.last('assignments').tasks.remove, ['t2'])
  t.match(agent.last('assignments').tasks.put, [{ ID: 't1', DesiredState: 'shutdown' }])
})

t.test('statuses: batched, forward only, only of own tasks', async (t) => {
  const b = await bench(2)
  await b.store.update((tx) => {
    for (let i = 0; i < 20; i++) tx.put('task', taskOn(`t${i}`, 'n1'))
    tx.put('task', taskOn('other', 'n2'))
  })
  const agent = b.connect('n1')
  await b.settle()
  const writes = b.proposer.log.length
  // A commit takes longer than reading a message.
  const batch = b.store.batch.bind(b.store)
  b.store.batch = async (changes) => {
    await b.clock.advance(0)
    return batch(changes)
  }
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      agent.say({
        kind: 'task-status',
        updates: [{ taskId: `t${i}`, status: status('running') }],
      }),
    ),
  )
  await b.settle()
  t.ok(b.proposer.log.length - writes <= 3, 'twenty reports take few transactions')
  t.equal(b.store.view().get('task', 't19')?.Status.State, 'running')
  await agent.say({
    kind: 'task-status',
    updates: [
      { taskId: 't0', status: status('preparing') },
      { taskId: 't1', status: status('failed', 'task: non-zero exit (1)') },
      { taskId: 'other', status: status('running') },
      { taskId: 'unknown', status: status('running') },
    ],
  })
  await b.settle()
  t.equal(b.store.view().get('task', 't0')?.Status.State, 'running', 'never backwards')
  t.match(b.store.view().get('task', 't1')?.Status, {
    State: 'failed',
    Err: 'task: non-zero exit (1)',
  })
  t.equal(b.store.view().get('task', 'other')?.Status.State, 'assigned', "never another node's")
})

t.test('a node is down after three missed heartbeats, and its endpoints leave', async (t) => {
  const b = await bench(2)
  await b.store.update((tx) => {
    tx.put('task', taskOn('t1', 'n1', { Status: status('running') }, '10.1.1.2/16'))
    tx.put('task', taskOn('t2', 'n2', { Status: status('running') }, '10.1.2.2/16'))
  })
  const [a1, a2] = [b.connect('n1'), b.connect('n2')]
  await b.settle()
  a1.cut()
  await pass(b, [a2], 2500)
  t.equal(b.store.view().get('node', 'n1')?.Status.State, 'ready', 'not before the limit')
  await pass(b, [a2], 1000)
  t.equal(b.store.view().get('node', 'n1')?.Status.State, 'down')
  t.equal(b.store.view().get('node', 'n2')?.Status.State, 'ready')
  t.strictSame(a2.last('overlay').change.endpoints.remove, ['t1'])
  t.match(a2.last('overlay').change.nodes.put, [{ id: 'n1', live: false }])
  const back = b.connect('n1')
  await b.settle()
  t.equal(b.store.view().get('node', 'n1')?.Status.State, 'ready')
  t.match(a2.last('overlay').change.endpoints.put, [{ taskId: 't1', state: 'ready' }])
  t.equal(back.all('overlay')[0]?.complete, true)
  // A connection that stays open but silent is as good as none.
  await pass(b, [a2], 3500)
  t.equal(b.store.view().get('node', 'n1')?.Status.State, 'down')
})

t.test('another heartbeat period is told at once, and costs no node', async (t) => {
  const b = await bench(2)
  const agents = [b.connect('n1'), b.connect('n2')]
  await b.settle()
  const setPeriod = (HeartbeatPeriod: number) =>
    b.store.update((tx) => {
      const cluster = tx.cluster()!
      tx.put('cluster', { ...cluster, Spec: { ...cluster.Spec, Dispatcher: { HeartbeatPeriod } } })
    })
  const states = () =>
    b.store
      .view()
      .list('node')
      .map(({ Status }) => Status.State)
  await b.clock.advance(2900)
  await setPeriod(10_000_000_000)
  await b.settle()
  for (const agent of agents) t.equal(agent.last('heartbeat-period').periodMs, 10_000)
  await b.clock.advance(9_900)
  t.strictSame(states(), ['ready', 'ready'], 'they were told to come that late')
  for (const agent of agents) await agent.say({ kind: 'heartbeat' })

  await setPeriod(300_000_000)
  await b.settle()
  t.equal(agents[0]!.last('heartbeat-period').periodMs, 300)
  for (const agent of agents) await agent.say({ kind: 'heartbeat' })
  await b.clock.advance(9_000)
  t.strictSame(states(), ['ready', 'ready'], 'one that has not heard of it yet is not lost')
  for (let i = 0; i < 100; i++) {
    await b.clock.advance(300)
    await agents[0]!.say({ kind: 'heartbeat' })
  }
  t.strictSame(states(), ['ready', 'down'], 'then the new one counts')
  const late = b.connect('n2')
  await b.settle()
  t.equal(late.last('session').heartbeatPeriodMs, 300)
})

t.test(
  'a node renews when its last change of the role was lost in a crash, and taken back',
  async (t) => {
    const b = await bench(1)
    const renewals = async (Role: 'worker' | 'manager', certified: 'worker' | 'manager') => {
      await b.store.update((tx) => {
        const node = tx.get('node', 'n1')!
        tx.put('node', { ...node, Spec: { ...node.Spec, Role } })
      })
      const agent = b.connect('n1', {}, { nodeId: 'n1', role: certified })
      await b.settle()
      return agent.all('renew-certificate').length
    }
    t.equal(b.store.view().get('node', 'n1')?.Swarmctl.ObservedRole, 'worker')
    t.equal(await renewals('worker', 'worker'), 0)
    t.equal(await renewals('manager', 'worker'), 0, 'its role tells it')
    t.equal(await renewals('worker', 'manager'), 0, 'as well')
    t.equal(await renewals('manager', 'manager'), 1)
  },
)

t.test('nodes are told whom to trust, and when to renew', async (t) => {
  const b = await bench(2)
  const [a1, a2] = [b.connect('n1'), b.connect('n2')]
  await b.settle()
  const root = (await createRootCA(realClock)).certPem
  const next = (await createRootCA(realClock)).certPem
  const change = (Swarmctl: Partial<Cluster['Swarmctl']>) =>
    b.store.update((tx) => {
      const cluster = tx.cluster()!
      tx.put('cluster', { ...cluster, Swarmctl: { ...cluster.Swarmctl, ...Swarmctl } })
    })
  await change({ RootCACert: root })
  const rotation = { CACert: next, CAKey: 'private key', CrossSignedCACert: '' }
  await change({ RootRotation: rotation })
  await b.settle()
  t.equal(a1.last('trust-root').rootCACert, root + next)
  await change({ RemovedNodes: ['x'] })
  await b.settle()
  t.equal(a1.all('trust-root').length, 1, 'not with every change of the cluster')
  b.dispatcher.askToRenew(['n2', 'absent'])
  await b.settle()
  t.equal(a2.all('renew-certificate').length, 1)
  t.strictSame(a1.all('renew-certificate'), [])
  const late = b.connect('n1')
  await b.settle()
  t.equal(late.last('session').rootCACert, root + next)
  t.notMatch(JSON.stringify([a1, a2, late].map(({ received }) => received)), /private key/)
})

t.test(
  'after a change of leader nodes have a grace, and a stalled leader blames nobody',
  async (t) => {
    const b = await bench(2)
    const a1 = b.connect('n1')
    await pass(b, [a1], 3500)
    t.equal(b.store.view().get('node', 'n2')?.Status.State, 'unknown', 'has not registered yet')
    await pass(b, [a1], 1000)
    t.equal(b.store.view().get('node', 'n2')?.Status.State, 'down')
    t.equal(b.store.view().get('node', 'n1')?.Status.State, 'ready')

    const { Liveness } = await import('../../../src/manager/dispatcher/liveness.ts')
    const liveness = new Liveness({ stallMs: 1500 })
    liveness.heard('n', 0, 3000)
    liveness.sweep(0)
    t.strictSame(liveness.sweep(10_000), [], 'the sweep itself came late')
    t.strictSame(liveness.sweep(10_250), [])
    t.strictSame(liveness.sweep(11_500), [])
    t.strictSame(liveness.sweep(12_900), [])
    t.strictSame(liveness.sweep(13_250), ['n'])
  },
)

t.test('out of rotation: when every live session has applied the tables, bounded', async (t) => {
  const b = await bench(3)
  await b.store.update((tx) => {
    tx.put('task', taskOn('t1', 'n1', { Status: status('running') }, '10.1.1.2/16'))
    tx.put('task', taskOn('t2', 'n1', { Status: status('running') }, '10.1.1.3/16'))
    tx.put('task', taskOn('plain', 'n1', { Status: status('running') }))
  })
  const agents = ['n1', 'n2', 'n3'].map((id) => b.connect(id))
  const [a1, a2, a3] = agents as [FakeAgent, FakeAgent, FakeAgent]
  await b.settle()
  await setTask(b, 't1', { DesiredState: 'shutdown' })
  await setTask(b, 'plain', { DesiredState: 'shutdown' })
  await b.settle()
  t.match(a2.last('overlay').change.endpoints.put, [{ taskId: 't1', state: 'draining' }])
  const { version } = a2.last('overlay')
  for (const agent of [a1, a2]) await agent.say({ kind: 'overlay-applied', version })
  await b.settle()
  t.equal(a1.all('out-of-rotation').length, 0, 'one node still has it')
  await a3.say({ kind: 'overlay-applied', version })
  await b.settle()
  t.strictSame(
    a1.all('out-of-rotation').map(({ taskIds }) => taskIds),
    [['t1']],
  )
  t.equal(a2.all('out-of-rotation').length, 0, 'only its own node is told')

  await setTask(b, 't2', { DesiredState: 'shutdown' })
  await b.settle()
  for (const agent of [a1, a2])
    await agent.say({ kind: 'overlay-applied', version: a2.last('overlay').version })
  await pass(b, agents, 3500)
  t.strictSame(
    a1.last('out-of-rotation').taskIds,
    ['t2'],
    'a stuck node holds up for a bounded time',
  )

  // The node that is to stop the task comes back: it is told again.
  const again = b.connect('n1')
  await b.settle()
  for (const agent of [again, a2, a3])
    await agent.say({ kind: 'overlay-applied', version: again.last('overlay').version })
  await b.settle()
  t.strictSame(again.last('out-of-rotation').taskIds.sort(), ['t1', 't2'])
})

t.test('who gets no session', async (t) => {
  const b = await bench(1)
  const impostor = b.connect('n1', {}, { nodeId: 'n2' })
  t.match(await impostor.ended, /only itself/)
  const stranger = b.connect('n9')
  t.match(await stranger.ended, /not part of this cluster/)
  await b.store.update((tx) => {
    const cluster = tx.cluster()!
    tx.put('cluster', { ...cluster, Swarmctl: { ...cluster.Swarmctl, RemovedNodes: ['n9'] } })
  })
  const removed = b.connect('n9')
  await removed.ended
  t.match(removed.received, [{ kind: 'removed' }])

  const agent = b.connect('n1')
  await b.settle()
  await b.store.update((tx) => tx.remove('node', 'n1'))
  await agent.ended
  t.match(agent.received.at(-1), { kind: 'removed' })
  await b.store.update((tx) => tx.put('node', sampleNode('n1', 1)))

  const last = b.connect('n1')
  await b.settle()
  b.leader = { nodeId: 'm2', addr: '192.168.0.2:2377' }
  await b.dispatcher.stop()
  await last.ended
  t.match(last.received.at(-1), { kind: 'redirect', leader: { nodeId: 'm2' } })
  const late = b.connect('n1')
  await late.ended
  t.match(late.received, [{ kind: 'redirect', leader: { nodeId: 'm2' } }])
})

t.test('managers, roles and descriptions', async (t) => {
  const b = await bench(2)
  const agent = b.connect('n1')
  await b.settle()
  t.match(agent.all('managers'), [{ isPresent: true }], 'a majority has confirmed who leads')
  await b.store.update((tx) => {
    const node = tx.get('node', 'n2')!
    tx.put('node', {
      ...node,
      ManagerStatus: { Reachability: 'reachable', Addr: '192.168.0.2:2377' },
    })
  })
  await b.settle()
  t.match(agent.last('managers'), {
    role: 'worker',
    managers: [{ nodeId: 'n2', addr: '192.168.0.2:2377' }],
  })
  await b.store.update((tx) => {
    const node = tx.get('node', 'n1')!
    tx.put('node', { ...node, Spec: { ...node.Spec, Role: 'manager' } })
  })
  await b.settle()
  t.match(agent.last('managers'), { role: 'manager', isPresent: false, asOf: b.store.view().index })
  const description = b.store.view().get('node', 'n1')!.Description
  await agent.say({
    kind: 'description',
    description: { ...description, Swarmctl: { ...description.Swarmctl, EngineError: 'down' } },
  })
  await b.settle()
  t.equal(b.store.view().get('node', 'n1')?.Description.Swarmctl.EngineError, 'down')
})

t.test('when statuses can not be written their agent has to register anew', async (t) => {
  const b = await bench(1)
  await b.store.update((tx) => tx.put('task', taskOn('t1', 'n1')))
  const agent = b.connect('n1')
  await b.settle()
  b.store.batch = async () => {
    throw new Error('no quorum')
  }
  await agent.say({ kind: 'task-status', updates: [{ taskId: 't1', status: status('running') }] })
  t.match(await agent.ended, /could not be written/)
})

t.test('logs of a task come over its agent', async (t) => {
  const b = await bench(1)
  await b.store.update((tx) => tx.put('task', taskOn('t1', 'n1')))
  const request = { follow: false, stdout: true, stderr: true, since: '', tail: 'all' }
  const read = async () => {
    const lines: string[] = []
    for await (const { data } of b.dispatcher.logs.open(
      't1',
      request,
      new AbortController().signal,
    ))
      lines.push(new TextDecoder().decode(data))
    return lines
  }
  await t.rejects(read(), { code: 'UNAVAILABLE', message: /incomplete log stream: node n1/ })
  b.connect('n1')
  await b.settle()
  b.agentStreams = (method, body) => {
    t.equal(method, 'agent.logs')
    t.match(body, { taskId: 't1', tail: 'all' })
    const [ours, theirs] = MemoryStream.pair()
    void theirs
      .send({ timestamp: '', stream: 'stdout', data: new TextEncoder().encode('hello\n') })
      .then(() => theirs.end())
    return ours
  }
  t.strictSame(await read(), ['hello\n'])
})
