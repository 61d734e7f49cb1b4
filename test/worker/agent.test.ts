import t from 'tap'
import { recordable } from '../../src/worker/agent-disk.ts'
import { CLEANUP_RETRY_MS, PREDECESSOR_MARGIN_MS } from '../../src/worker/limits.ts'
import { sampleSecret } from '../support/objects.ts'
import { AgentBench, agentTask, FakeManager, startBench } from '../support/worker/agent-bench.ts'

t.test('from assignment to running to the end', async (t) => {
  const b = await startBench(t)
  t.match(b.manager.session.request, {
    nodeId: 'n1',
    description: { Hostname: 'memory', Swarmctl: { EngineError: '' } },
  })
  t.strictSame(b.overlay.calls, ['self 5'])
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true)] })
  await b.settle()
  t.match(b.manager.status('t1'), {
    State: 'running',
    Message: 'started',
    ContainerStatus: { ContainerID: 'container1' },
  })
  t.equal(b.manager.history('t1').length, 1, 'states that nobody waits for are overtaken')
  t.match(b.executor.of('t1')?.plan.wiring, { networks: [{ ipv4Address: '10.1.1.2' }] })

  b.manager.assign(false, { tasks: [agentTask('t1', { DesiredState: 'shutdown' }, true)] })
  await b.settle()
  t.notOk(b.overlay.calls.includes('drain t1 true 30000'), 'first out of every rotation')
  b.manager.send({ kind: 'out-of-rotation', taskIds: ['t1'] })
  await b.settle()
  t.equal(b.overlay.calls.at(-1), 'drain t1 true 30000')
  t.equal(b.executor.of('t1')?.status, 'running', 'no signal while connections are open')
  b.overlay.drains.get('t1')?.()
  await b.settle()
  t.match(b.manager.status('t1'), { State: 'shutdown', Message: 'shutdown' })
  t.equal(b.overlay.calls.at(-1), 'detach t1')
  t.ok(b.executor.of('t1'), 'the container stays for its log')
  b.manager.assign(false, { removeTasks: ['t1'] })
  await b.settle()
  t.equal(b.executor.of('t1'), undefined)
  t.equal(b.disk.tasks.size, 0)
  t.strictSame(b.executor.calls, ['pull nginx', 'create t1', 'start t1', 'stop t1', 'remove t1'])
})

t.test('bounded: without word on rotation, and without a manager', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true), agentTask('plain')] })
  await b.settle()
  const down = { DesiredState: 'shutdown' } as const
  b.manager.assign(false, { tasks: [agentTask('t1', down, true), agentTask('plain', down)] })
  await b.settle()
  t.equal(b.executor.of('plain')?.status, 'exited', 'nobody sends it connections: at once')
  b.manager.answer = 'refuse'
  b.manager.session.stream.abort()
  await b.clock.advance(4900)
  t.equal(b.executor.of('t1')?.status, 'running')
  await b.clock.advance(200)
  t.equal(b.overlay.calls.at(-1), 'drain t1 true 30000')
  b.overlay.drains.get('t1')?.()
  await b.settle()
  t.equal(b.executor.of('t1')?.status, 'exited')
})

t.test('failures have Docker’s and Swarm’s words', async (t) => {
  const b = await startBench(t)
  b.executor.missingImages.set('none:1', 'pull access denied')
  b.executor.missingImages.set('web@sha256:abc', 'not found')
  b.executor.exitOf.set('short:1', 0)
  b.executor.exitOf.set('broken:1', 7)
  b.executor.healthOf.set('sick:1', 'starting')
  const of = (id: string, Image: string) =>
    agentTask(id, { Spec: { ContainerSpec: { Image } } }, true)
  b.manager.assign(true, {
    tasks: [
      of('none', 'none:1'),
      of('pinned', 'web@sha256:abc'),
      of('short', 'short:1'),
      of('broken', 'broken:1'),
      of('sick', 'sick:1'),
    ],
  })
  await b.settle()
  t.match(b.manager.status('none'), {
    State: 'rejected',
    Err: 'No such image: none:1: pull access denied',
  })
  t.match(b.manager.status('pinned'), { State: 'rejected', Err: /^No such image: web@sha256:abc/ })
  t.match(b.manager.status('short'), { State: 'complete', Message: 'finished' })
  t.match(b.manager.status('broken'), {
    State: 'failed',
    Err: 'task: non-zero exit (7)',
    ContainerStatus: { ExitCode: 7 },
  })
  await b.clock.advance(200)
  t.equal(b.manager.status('sick')?.State, 'starting', 'RUNNING waits for healthy')
  b.executor.setHealth('sick', 'healthy')
  await b.settle()
  t.equal(b.manager.status('sick')?.State, 'running')
  b.overlay.calls.length = 0
  b.executor.setHealth('sick', 'unhealthy')
  await b.settle()
  t.match(b.manager.status('sick'), { State: 'failed', Err: 'task: unhealthy container' })
  t.strictSame(b.overlay.calls, ['drop sick', 'detach sick'], 'its container is stopped')
})

t.test('the container of a failed task ends before its successor’s starts', async (t) => {
  const b = await startBench(t)
  b.executor.healthOf.set('nginx', 'healthy')
  const of = (id: string, Slot: number) => agentTask(id, { Slot })
  b.manager.assign(true, { tasks: [of('sick', 1)] })
  await b.settle()
  const stops: (() => Promise<void>)[] = []
  const stop = b.executor.stop.bind(b.executor)
  b.executor.stop = (id) =>
    new Promise((resolve) => {
      stops.push(() => stop(id).then(resolve))
    })
  b.executor.setHealth('sick', 'unhealthy')
  await b.settle()
  t.equal(b.manager.status('sick')?.State, 'failed', 'told at once: nobody is to connect to it')
  b.manager.assign(false, { tasks: [of('next', 1), of('other', 2)] })
  await b.settle()
  t.equal(b.executor.of('other')?.status, 'running')
  t.equal(b.executor.of('next')?.status, 'created', 'they would share volumes and host ports')
  await stops[0]?.()
  await b.settle()
  t.equal(b.executor.of('next')?.status, 'running')

  b.executor.setHealth('next', 'unhealthy')
  b.manager.assign(false, { tasks: [of('third', 1)] })
  await b.settle()
  t.equal(b.executor.of('third')?.status, 'created')
  await b.clock.advance(10_000 + PREDECESSOR_MARGIN_MS)
  t.equal(b.executor.of('third')?.status, 'running', 'one that can’t be ended is not waited for')
})

t.test('an image: pinned and here is not pulled, one pull serves all replicas', async (t) => {
  const b = await startBench(t)
  const pinned = { Spec: { ContainerSpec: { Image: 'web@sha256:abc' } } }
  b.manager.assign(true, {
    tasks: [agentTask('p', pinned), ...['a', 'b', 'c'].map((id) => agentTask(id))],
  })
  await b.settle()
  t.strictSame(
    b.executor.calls.filter((c) => c.startsWith('pull')),
    ['pull nginx'],
  )
  t.equal(b.executor.calls.filter((c) => c.startsWith('start')).length, 4)
  const image = `sha256:${'0a'.repeat(32)}`
  b.manager.assign(false, {
    tasks: [agentTask('i', { Spec: { ContainerSpec: { Image: image } } })],
  })
  await b.settle()
  t.equal(b.manager.status('i')?.State, 'running')
  t.notOk(b.executor.calls.includes(`pull ${image}`), 'no registry knows an image by its id')
  const next = agentTask('d')
  b.manager.assign(false, { tasks: [{ ...next, Swarmctl: { ...next.Swarmctl, SpecVersion: 2 } }] })
  await b.settle()
  t.equal(
    b.executor.calls.filter((c) => c.startsWith('pull')).length,
    2,
    'a new version asks again',
  )
})

t.test('start-first: created and ready, not started before it is wanted running', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1', { DesiredState: 'ready' })] })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'ready', 'told at once: somebody waits for it')
  t.equal(b.executor.of('t1')?.status, 'created')
  b.manager.assign(false, { tasks: [agentTask('t1')] })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running')
})

t.test('secrets: waited for, in memory only, gone with the task', async (t) => {
  const b = await startBench(t)
  const file = (Name: string) => ({ Name, UID: '0', GID: '0', Mode: 0o400 })
  const task = agentTask('t1', {
    Spec: {
      ContainerSpec: {
        Image: 'nginx',
        Secrets: [{ SecretID: 's1', SecretName: 'pw', File: file('pw') }],
      },
      PullOptions: { RegistryAuth: 'c2VjcmV0LWF1dGg=' },
    },
  })
  // As after a restart of the daemon, which forgot the secret.
  b.disk.saveTask({ version: 1, task: recordable(task), status: task.Status })
  await b.restart()
  t.equal(b.executor.of('t1'), undefined)
  b.manager.assign(true, { tasks: [task], secrets: [sampleSecret('s1', 'pw')] })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running')
  t.match(b.files.files.get('t1'), [{ target: '/run/secrets/pw', mode: 0o400 }])
  t.strictSame(b.executor.of('t1')?.plan.files.mounts, [
    { source: '/memory/t1/0', target: '/run/secrets/pw' },
  ])
  const kept = JSON.stringify([...b.disk.tasks.values(), b.disk.node, b.log.lines])
  t.notMatch(kept, 'c2VjcmV0', 'neither content nor registry credentials on disk or in the log')
  b.executor.end('t1', 1)
  await b.settle()
  t.equal(b.files.files.size, 0)
})

t.test(
  'the daemon restarts: containers are adopted, what happened meanwhile is told',
  async (t) => {
    const b = await startBench(t)
    b.manager.assign(true, { tasks: [agentTask('t1', {}, true), agentTask('t2'), agentTask('t3')] })
    await b.settle()
    b.manager.answer = 'refuse'
    await b.agent.stop()
    b.executor.end('t2', 1)
    b.executor.containers.delete(b.executor.of('t3')!.id)
    b.executor.calls.length = 0
    await b.restart()
    t.strictSame(b.executor.calls, [], 'nothing is done twice, without any manager')
    t.strictSame(b.overlay.calls, ['self 5', 'attach t1'])
    b.manager.answer = 'leader'
    await b.clock.advance(10_000)
    b.manager.assign(true, {
      tasks: ['t1', 't2', 't3'].map((id) =>
        agentTask(
          id,
          { Status: { Timestamp: '', State: 'running', Message: 'started' } },
          id === 't1',
        ),
      ),
    })
    await b.settle()
    t.match(b.manager.status('t2'), { State: 'failed', Err: 'task: non-zero exit (1)' })
    t.match(b.manager.status('t3'), { State: 'failed', Err: 'the container was removed' })
    b.executor.end('t1', 0)
    await b.settle()
    t.equal(b.manager.status('t1')?.State, 'complete', 'events of adopted containers count')
  },
)

t.test('containers without a task go, but only when the whole assignment is known', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1'), agentTask('t2')] })
  await b.settle()
  await b.agent.stop()
  await b.disk.clear()
  b.manager.answer = 'refuse'
  await b.restart()
  t.equal(b.executor.containers.size, 2)
  b.manager.answer = 'leader'
  await b.clock.advance(10_000)
  b.manager.assign(true, {
    tasks: [agentTask('t1', { Status: { Timestamp: '', State: 'running', Message: '' } })],
  })
  await b.settle()
  t.equal(b.executor.of('t1')?.status, 'running', 'adopted by its label')
  t.equal(b.executor.of('t2'), undefined)
})

t.test('a node that was removed while it was away is told, now and then', async (t) => {
  const b = await startBench(t)
  const second = new FakeManager()
  b.managers.set('m2:2377', second)
  for (const manager of b.managers.values()) manager.answer = 'removed'
  b.manager.session.stream.abort()
  await b.clock.advance(1000)
  t.strictSame(b.refusals, ['it was removed'])
  t.equal(b.removed, 0, 'whoever owns the node decides')
  await b.clock.advance(20_000)
  t.ok(b.refusals.length >= 2 && b.refusals.length <= 4, `${b.refusals.length}`)
  t.equal(b.log.lines.filter((line) => line.includes('refuse this node')).length, 1, 'logged once')
  b.manager.answer = 'leader'
  await b.clock.advance(10_000)
  t.ok(b.agent.isConnected, 'not for good')
})

t.test('failover: the next manager is found quickly, and told everything', async (t) => {
  const b = new AgentBench()
  const [m1, m2, m3] = [b.manager, new FakeManager(), new FakeManager()]
  b.managers.set('m2:2377', m2).set('m3:2377', m3)
  for (const follower of [m2, m3])
    follower.answer = {
      kind: 'redirect',
      leader: { nodeId: 'm1', addr: 'm1:2377' },
      managers: [],
      asOf: 0,
    }
  await b.start()
  t.teardown(() => b.agent.stop())
  m1.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  b.dialled.length = 0
  m1.answer = 'refuse'
  m1.session.stream.abort()
  await b.clock.advance(700)
  t.ok(b.dialled.length >= 4, 'asks again within the election')
  t.strictSame(b.dialled.slice(0, 2), ['m2:2377', 'm3:2377'], 'not the lost leader first')
  m3.answer = 'leader'
  m2.answer = { kind: 'redirect', leader: { nodeId: 'm3', addr: 'm3:2377' }, managers: [], asOf: 0 }
  await b.clock.advance(600)
  t.ok(b.agent.isConnected)
  m3.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  t.equal(m3.status('t1')?.State, 'running', 'the new leader is told what it does not know')
  await b.clock.advance(3000)
  const beats = () => m3.session.said.filter(({ kind }) => kind === 'heartbeat').length
  t.ok(beats() >= 3)
  m3.send({ kind: 'heartbeat-period', periodMs: 5000 })
  await b.settle()
  const atOnce = beats()
  await b.clock.advance(4900)
  t.equal(beats(), atOnce, 'at the new interval from now on')
  await b.clock.advance(5200)
  t.equal(beats(), atOnce + 2)

  m3.send({ kind: 'trust-root', rootCACert: 'both' })
  m3.send({ kind: 'renew-certificate' })
  await b.settle()
  t.strictSame([b.trustRoots.at(-1), b.renewals], ['both', 1])

  const before = m3.sessions.length
  m3.skip()
  m3.assign(false, { tasks: [agentTask('t2')] })
  await b.clock.advance(500)
  t.equal(m3.sessions.length, before + 1, 'a gap in the sequence begins a new session')

  m3.answer = 'silent'
  m3.session.stream.abort()
  m2.answer = 'silent'
  await b.clock.advance(5000)
  m2.answer = 'leader'
  await b.clock.advance(8000)
  t.ok(b.agent.isConnected, 'silent managers do not hold it up for ever')
})

t.test(
  'overlay messages are applied in order and confirmed; a failure asks for complete tables',
  async (t) => {
    const b = await startBench(t)
    const change = {
      nodes: { put: [], remove: [] },
      networks: { put: [], remove: [] },
      services: { put: [], remove: [] },
      endpoints: { put: [], remove: [] },
    }
    const send = (version: number, complete = false) =>
      b.manager.send({ kind: 'overlay', complete, version, change })
    send(3, true)
    await b.settle()
    const confirmed = () => b.manager.session.said.filter(({ kind }) => kind === 'overlay-applied')
    t.match(confirmed(), [{ version: 3 }])
    let resume = (): void => {}
    b.overlay.stuck = new Promise((resolve) => {
      resume = resolve
    })
    for (let version = 4; version < 500; version++) send(version)
    b.manager.assign(true, { tasks: [agentTask('t1')] })
    await b.settle()
    t.equal(b.manager.status('t1')?.State, 'running', 'tables that stay away hold up no task')
    t.equal(confirmed().length, 1)
    resume()
    await b.settle()
    t.strictSame(b.overlay.applied, [3, 4, 499])
    t.match(confirmed(), [{ version: 3 }, { version: 4 }, { version: 499 }])
    b.overlay.failApply = true
    send(500)
    await b.settle()
    t.equal(confirmed().length, 3)
    b.overlay.failApply = false
    await b.clock.advance(6000)
    t.equal(b.manager.sessions.length, 2)
  },
)

t.test('a task waits until its network is known to the node', async (t) => {
  const b = await startBench(t)
  b.overlay.unknownNetwork = true
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true)] })
  await b.clock.advance(3000)
  t.equal(b.manager.status('t1')?.State, 'preparing')
  b.overlay.unknownNetwork = false
  const none = { put: [], remove: [] }
  const change = { nodes: none, networks: none, services: none, endpoints: none }
  b.manager.send({ kind: 'overlay', complete: true, version: 1, change })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running', 'as soon as the tables have it')
})

t.test('news of the cluster, logs, removal, leaving', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  b.manager.send({
    kind: 'managers',
    role: 'manager',
    managers: [{ nodeId: 'm9', addr: 'm9:2377' }],
    asOf: 7,
    isPresent: false,
  })
  await b.settle()
  t.match(b.cluster, [{ role: 'worker' }, { role: 'manager', managers: [{ addr: 'm9:2377' }] }])
  t.match(b.disk.node, { index: 5, managers: [{ addr: 'm9:2377' }], asOf: 7 })
  for (const isPresent of [false, true]) {
    const managers = [{ nodeId: 'm8', addr: 'm8:2377' }]
    b.manager.send({ kind: 'managers', role: 'manager', managers, asOf: 6, isPresent })
    await b.settle()
    // Of a leader that was replaced, or of a state that was restored.
    const addr = isPresent ? 'm8:2377' : 'm9:2377'
    t.match(b.disk.node, { managers: [{ addr }], asOf: isPresent ? 6 : 7 })
    t.match(b.cluster.at(-1), { managers: [{ addr }] })
  }
  const lines: unknown[] = []
  const request = {
    taskId: 't1',
    follow: false,
    stdout: true,
    stderr: true,
    since: '',
    tail: 'all',
  }
  const context = { signal: new AbortController().signal }
  await b.agent.serveLogs(request, { send: async (m) => void lines.push(m) }, context)
  t.match(lines, [{ stream: 'stdout', data: new TextEncoder().encode('log of t1\n') }])
  await t.rejects(
    b.agent.serveLogs({ ...request, taskId: 'no' }, { send: async () => {} }, context),
    { code: 'NOT_FOUND' },
  )
  const later = agentTask('later', {}, true)
  b.overlay.unknownNetwork = true
  b.manager.assign(false, { tasks: [{ ...later, DesiredState: 'ready' }] })
  await b.settle()
  const followed = b.agent.serveLogs(
    { ...request, taskId: 'later', follow: true },
    { send: async (m) => void lines.push(m) },
    context,
  )
  await b.settle()
  t.equal(lines.length, 1)
  b.overlay.unknownNetwork = false
  await b.clock.advance(CLEANUP_RETRY_MS)
  t.equal(b.executor.of('later')?.status, 'created')
  t.equal(lines.length, 1, 'the Engine would end the log of one that waits for its restart delay')
  b.manager.assign(false, { tasks: [later] })
  await followed
  t.equal(lines.length, 2, 'followed from before there is a container')
  b.manager.send({ kind: 'removed' })
  await b.settle()
  t.equal(b.removed, 1)
  await b.agent.removeAll()
  t.equal(b.executor.containers.size, 0)
  t.equal(b.overlay.calls.at(-1), 'destroy')
  t.equal(b.disk.node, undefined)
})
