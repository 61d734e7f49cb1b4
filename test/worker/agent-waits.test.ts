import { getEventListeners } from 'node:events'
import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { recordable } from '../../src/worker/agent-disk.ts'
import { agentTask, startBench } from '../support/worker/agent-bench.ts'

t.test('a pull waits for its credentials, which no disk remembers', async (t) => {
  const b = await startBench(t)
  const task = agentTask('t1', {
    Spec: { ContainerSpec: { Image: 'private' }, PullOptions: { RegistryAuth: 'c2VjcmV0' } },
  })
  b.disk.saveTask({
    version: 1,
    task: recordable(task),
    status: { Timestamp: '', State: 'preparing', Message: 'preparing' },
  })
  b.executor.missingImages.set('private', 'denied')
  await b.restart()
  await b.clock.advance(10_000)
  t.strictSame(b.executor.calls, [])
  b.executor.missingImages.clear()
  b.manager.assign(true, { tasks: [task] })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running')
  t.notMatch(JSON.stringify([...b.disk.tasks.values()]), 'c2VjcmV0')
})

t.test('a secret that the managers do not have any more is not waited for', async (t) => {
  const b = await startBench(t)
  const spec = (SecretID: string) => ({
    ContainerSpec: {
      Image: 'nginx',
      Secrets: [
        { SecretID, SecretName: 'pw', File: { Name: 'pw', UID: '0', GID: '0', Mode: 0o400 } },
      ],
    },
  })
  b.manager.assign(true, { tasks: [agentTask('t1', { Spec: spec('gone') })] })
  await b.settle()
  const rejected = (SecretID: string) => ({
    State: 'rejected' as const,
    Err: `unable to get secret from secret store: secret ${SecretID} not found`,
  })
  t.match(b.manager.status('t1'), rejected('gone'))
  b.manager.assign(false, { tasks: [agentTask('t2', { Spec: spec('too') })] })
  await b.settle()
  t.match(b.manager.status('t2'), rejected('too'))
})

t.test('who follows a log that does not begin leaves nothing behind', async (t) => {
  const b = await startBench(t)
  b.overlay.unknownNetwork = true
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true)] })
  await b.settle()
  const reading = new AbortController()
  const request = { taskId: 't1', follow: true, stdout: true, stderr: true, since: '', tail: 'all' }
  const served = b.agent.serveLogs(request, { send: async () => {} }, { signal: reading.signal })
  await b.clock.advance(30_000)
  t.ok(getEventListeners(reading.signal, 'abort').length <= 1)
  reading.abort()
  await served
})

t.test('a node that the managers do not know says so, once', async (t) => {
  const b = await startBench(t)
  const open = b.manager.open.bind(b.manager)
  b.manager.open = (request) => {
    const stream = open(request)
    stream.abort(new SwarmctlError('NOT_FOUND', 'node n1 is not part of this cluster'))
    return stream
  }
  b.manager.answer = 'silent'
  b.manager.session.stream.abort()
  await b.clock.advance(30_000)
  const told = b.log.lines.filter((line) => line.includes('refuse this node'))
  t.match(told, [/^warn.*node n1 is not part of this cluster/])
  t.equal(told.length, 1)
  t.strictSame(b.refusals, [], 'it may be known again')
})

t.test(
  'a task runs once it listens on its published port, and is not kept from going',
  async (t) => {
    const b = await startBench(t)
    const Ports = [
      { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
    ] as never
    const published = (id: string) => {
      const task = agentTask(id, {}, true)
      return { ...task, Swarmctl: { ...task.Swarmctl, Endpoint: { Ports } } }
    }
    let listens = () => {}
    b.overlay.silent = new Promise((resolve) => {
      listens = resolve
    })
    b.manager.assign(true, { tasks: [published('t1'), published('t2')] })
    await b.clock.advance(300)
    t.ok(b.overlay.calls.includes('listening t1 80'))
    t.equal(b.executor.of('t1')?.status, 'running')
    t.equal(b.manager.status('t1')?.State, 'starting', 'no node is to send it connections yet')
    b.manager.assign(false, { tasks: [{ ...published('t2'), DesiredState: 'shutdown' }] })
    await b.settle()
    t.equal(b.manager.status('t2')?.State, 'shutdown', 'nobody waits for one that is to go')
    listens()
    await b.settle()
    t.equal(b.manager.status('t1')?.State, 'running')
  },
)
