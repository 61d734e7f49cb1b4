import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { engineFacts } from '../../src/worker/docker/engine-facts.ts'
import {
  ENGINE_ABSENT_MS,
  ENGINE_FACTS_MS,
  EXIT_CODE_WAIT_MAX_MS,
  ROTATION_WAIT_MAX_MS,
} from '../../src/worker/limits.ts'
import { agentTask, startBench } from '../support/worker/agent-bench.ts'

// An agent whose Engine is down, comes back or hangs.

t.test('the Engine goes and comes: the daemon stays, tasks are looked at again', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1'), agentTask('t2')] })
  await b.settle()
  b.executor.switchOff()
  await b.settle()
  t.match(b.manager.session.said.at(-1), {
    kind: 'description',
    description: { Swarmctl: { EngineError: /does not answer/ } },
  })
  b.executor.end('t2', 137)
  await b.clock.advance(900)
  t.equal(b.manager.status('t2')?.State, 'running', 'the Engine may be about to say how it ended')
  await b.clock.advance(20_000)
  b.manager.assign(false, { tasks: [agentTask('t3')] })
  t.match(b.manager.status('t2'), {
    State: 'failed',
    Err: 'task: its process ended while the Docker Engine did not answer',
    ContainerStatus: { ContainerID: 'container2', PID: 0, ExitCode: 255 },
  })
  t.equal(b.manager.status('t1')?.State, 'running', 'live-restore: its process goes on')
  b.executor.switchOn()
  await b.clock.advance(10_000)
  t.equal(b.manager.status('t1')?.State, 'running')
  t.equal(b.manager.history('t2').at(-1)?.State, 'failed', 'what was said stays said')
  t.equal(b.manager.status('t3')?.State, 'running', 'what waited goes on')
  t.match(
    b.manager.session.said.findLast(({ kind }) => kind === 'description'),
    { description: { Swarmctl: { EngineError: '' } } },
  )
})

t.test('what was known of a container that the Engine now only lists stays known', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true)] })
  await b.settle()
  const list = b.executor.list.bind(b.executor)
  b.executor.list = async (nodeId) => (await list(nodeId)).map((one) => ({ ...one, pid: 0 }))
  b.executor.switchOff()
  await b.settle()
  b.executor.switchOn()
  await b.clock.advance(10_000)
  const pid = b.manager.status('t1')?.ContainerStatus?.PID
  t.match(b.agent.runningContainers(), [{ taskId: 't1', pid }])
  await b.agent.stop()
  await b.start()
  await b.settle()
  t.match(b.agent.runningContainers(), [{ taskId: 't1', pid }], 'as the node noted it')
  b.manager.assign(true, { tasks: [agentTask('t1', { DesiredState: 'shutdown' }, true)] })
  await b.clock.advance(ROTATION_WAIT_MAX_MS)
  t.ok(b.overlay.calls.includes('drain t1 true 30000'), 'its connections are waited for')
})

t.test('a task that waits long for a silent Engine is given back', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  b.executor.switchOff()
  await b.settle()
  b.manager.assign(false, { tasks: [agentTask('t2')] })
  await b.clock.advance(ENGINE_ABSENT_MS / 2)
  t.not(b.manager.status('t2')?.State, 'rejected', 'the Engine may just be restarting')
  await b.clock.advance(ENGINE_ABSENT_MS)
  t.match(b.manager.status('t2'), { State: 'rejected', Err: /the Docker Engine does not answer/ })
  t.equal(b.manager.status('t1')?.State, 'running', 'one that runs is looked for, not given back')
  b.executor.switchOn()
  await b.clock.advance(ENGINE_ABSENT_MS)
  t.equal(b.manager.history('t2').at(-1)?.State, 'rejected', 'what was said stays said')
  t.equal(b.executor.of('t2'), undefined)
})

t.test('an Engine that goes away while it starts a container', async (t) => {
  for (const work of ['service', 'job'] as const) {
    await t.test(work, async (t) => {
      const b = await startBench(t)
      const start = b.executor.start.bind(b.executor)
      b.executor.start = async (id) => {
        await start(id)
        b.executor.switchOff()
        throw new SwarmctlError('ENGINE_UNAVAILABLE', 'gone before it answered')
      }
      const task = agentTask('t1')
      const assigned = work === 'job' ? { ...task, JobIteration: { Index: 1 } } : task
      b.manager.assign(true, { tasks: [assigned] })
      await b.settle()
      await b.clock.advance(ENGINE_ABSENT_MS / 2)
      t.equal(b.manager.status('t1')?.State, 'starting', 'the Engine may just be restarting')
      await b.clock.advance(ENGINE_ABSENT_MS)
      if (work === 'job') {
        t.equal(b.manager.status('t1')?.State, 'starting', 'its work may be under way')
      } else {
        t.match(b.manager.status('t1'), { State: 'failed', Err: /does not answer/ })
      }
      b.executor.switchOn()
      await b.clock.advance(ENGINE_ABSENT_MS)
      t.equal(b.executor.of('t1')?.status, work === 'job' ? 'running' : 'exited')
    })
  }
})

t.test('an Engine that goes away while it makes a container', async (t) => {
  const b = await startBench(t)
  const create = b.executor.create.bind(b.executor)
  let attempts = 0
  b.executor.create = async (plan) => {
    const id = await create(plan)
    attempts += 1
    if (attempts > 1) return id
    b.executor.switchOff()
    throw new SwarmctlError('ENGINE_UNAVAILABLE', 'gone between two networks')
  }
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true)] })
  await b.settle()
  t.equal(b.executor.of('t1')?.status, 'created')
  b.executor.switchOn()
  await b.clock.advance(5000)
  t.equal(b.manager.status('t1')?.State, 'running')
  t.equal(attempts, 2, 'what it has not is given to it before it starts')
})

t.test('what happens while the Engine tells of its containers is not lost', async (t) => {
  const b = await startBench(t)
  b.executor.healthOf.set('nginx', 'starting')
  const tasks = ['t1', 't2', 't3'].map((id) => agentTask(id))
  b.manager.assign(true, { tasks })
  await b.settle()
  const list = b.executor.list.bind(b.executor)
  b.executor.list = async (nodeId) => {
    const containers = await list(nodeId)
    b.executor.setHealth('t1', 'healthy')
    b.executor.end('t2', 3)
    await b.executor.remove(b.executor.of('t3')!.id)
    return containers
  }
  await b.restart()
  b.manager.assign(true, { tasks })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running')
  t.match(b.manager.status('t2'), { State: 'failed', Err: 'task: non-zero exit (3)' })
  t.match(b.manager.status('t3'), { State: 'failed', Err: 'the container was removed' })
})

t.test('health that is told before the start is answered', async (t) => {
  const b = await startBench(t)
  b.executor.healthOf.set('nginx', 'starting')
  const start = b.executor.start.bind(b.executor)
  b.executor.start = async (id) => {
    const started = await start(id)
    b.executor.setHealth('t1', 'healthy')
    return started
  }
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  t.equal(b.manager.status('t1')?.State, 'running')
})

t.test('a container that the Engine does not start', async (t) => {
  const b = await startBench(t)
  b.executor.start = async () => {
    throw new SwarmctlError('INTERNAL', 'port is already allocated')
  }
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  t.match(b.manager.status('t1'), {
    State: 'failed',
    Message: 'starting',
    Err: 'starting container failed: port is already allocated',
  })
})

t.test(
  'a start that hangs: asked for again, and stopped when it comes through too late',
  async (t) => {
    const b = await startBench(t)
    const start = b.executor.start.bind(b.executor)
    let attempts = 0
    b.executor.start = async () => {
      attempts += 1
      throw new SwarmctlError('TIMEOUT', 'not done within 120 s')
    }
    b.manager.assign(true, { tasks: [agentTask('t1')] })
    await b.settle()
    await b.clock.advance(1500)
    t.equal(b.manager.status('t1')?.State, 'starting')
    t.ok(attempts >= 2)
    t.equal(b.agent.description.Swarmctl.EngineError, '', 'the Engine is well')
    b.manager.assign(false, { tasks: [agentTask('t1', { DesiredState: 'shutdown' })] })
    await b.settle()
    t.equal(b.manager.status('t1')?.State, 'shutdown')
    await start(b.executor.of('t1')!.id)
    await b.settle()
    t.equal(b.executor.of('t1')?.status, 'exited')
  },
)

t.test('an answer to a stop that overtakes the event of the end', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  b.executor.stop = async () => {
    Object.assign(b.executor.of('t1')!, { status: 'exited', pid: 0, exitCode: 143 })
  }
  b.manager.assign(false, { tasks: [agentTask('t1', { DesiredState: 'shutdown' })] })
  await b.settle()
  t.match(b.manager.status('t1'), {
    State: 'shutdown',
    ContainerStatus: { ExitCode: 143, PID: 0 },
  })
})

t.test('many containers with a long grace are told to stop at once', async (t) => {
  const b = await startBench(t)
  const ids = Array.from({ length: 100 }, (_, i) => `t${i}`)
  b.manager.assign(true, { tasks: ids.map((id) => agentTask(id)) })
  for (let i = 0; i < 20; i++) await b.settle()
  let told = 0
  b.executor.stop = async () => {
    told += 1
    await new Promise(() => {})
  }
  b.manager.assign(false, { tasks: ids.map((id) => agentTask(id, { DesiredState: 'shutdown' })) })
  await b.settle()
  t.equal(told, 100)
})

t.test('a job that ends while the Engine is silent: the Engine says how, later', async (t) => {
  const b = await startBench(t)
  const job = (id: string) =>
    agentTask(id, { DesiredState: 'complete', JobIteration: { Index: 0 } }, true)
  b.manager.assign(true, { tasks: [job('t1'), job('t2'), job('t3')] })
  await b.settle()
  b.executor.switchOff()
  b.executor.end('t1', 0)
  b.executor.end('t2', 3)
  await b.clock.advance(60_000)
  t.equal(b.manager.status('t1')?.State, 'running')
  t.ok(b.overlay.calls.includes('drop t1'), 'it gets no connections meanwhile')
  b.executor.switchOn()
  await b.clock.advance(10_000)
  t.match(b.manager.status('t1'), { State: 'complete', ContainerStatus: { ExitCode: 0 } })
  t.match(b.manager.status('t2'), { State: 'failed', ContainerStatus: { ExitCode: 3 } })

  b.executor.switchOff()
  await b.settle()
  b.executor.end('t3', 0)
  await b.clock.advance(EXIT_CODE_WAIT_MAX_MS - 1000)
  t.equal(b.manager.status('t3')?.State, 'running')
  await b.clock.advance(20_000)
  t.match(b.manager.status('t3'), { State: 'failed', ContainerStatus: { ExitCode: 255 } })
  b.executor.switchOn()
  await b.clock.advance(10_000)
  t.equal(b.manager.history('t3').at(-1)?.State, 'failed', 'what was said stays said')
})

t.test('an Engine that is down when the daemon starts: processes are asked', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1', {}, true), agentTask('t2')] })
  await b.settle()
  b.executor.switchOff()
  b.executor.end('t1', 0)
  await b.restart()
  const running = { Timestamp: '', State: 'running', Message: '' } as const
  b.manager.assign(true, {
    tasks: [agentTask('t1', { Status: running }, true), agentTask('t2', { Status: running })],
  })
  await b.clock.advance(5000)
  t.match(b.manager.status('t1'), { State: 'failed', ContainerStatus: { ExitCode: 255 } })
  t.ok(b.overlay.calls.includes('drop t1'), 'this node sends it no connections any more')
  t.equal(b.manager.status('t2')?.State, 'running')
  b.manager.assign(false, { removeTasks: ['t1'] })
  await b.clock.advance(5000)
  t.ok(b.executor.of('t1'), 'its container waits for the Engine')
  b.executor.switchOn()
  await b.clock.advance(10_000)
  t.equal(b.executor.of('t1'), undefined)
})

t.test('a log that is followed from before the Engine answers', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1')] })
  await b.settle()
  b.executor.switchOff()
  await b.restart()
  const lines: unknown[] = []
  const request = { taskId: 't1', follow: true, stdout: true, stderr: true, since: '', tail: 'all' }
  const context = { signal: new AbortController().signal }
  const served = b.agent.serveLogs(request, { send: async (m) => void lines.push(m) }, context)
  await b.settle()
  t.equal(lines.length, 0)
  b.executor.switchOn()
  await b.clock.advance(6000)
  t.equal(lines.length, 1)
  await served
})

t.test('an Engine that hangs is noticed, at once or after it was well', async (t) => {
  const b = await startBench(t)
  b.manager.assign(true, { tasks: [agentTask('t1'), agentTask('t2')] })
  await b.settle()
  await b.clock.advance(60_000)
  const errors = () =>
    b.manager.session.said.flatMap((message) =>
      message.kind === 'description' ? [message.description.Swarmctl.EngineError] : [],
    )
  t.strictSame(errors(), [], 'a quiet Engine is well')
  b.executor.hang()
  b.executor.end('t2', 137)
  await b.clock.advance(20_000)
  const [said] = errors()
  t.match(said, /^the Docker Engine does not answer: it takes connections and has said nothing/)
  t.equal(b.manager.status('t2')?.State, 'failed')
  await b.clock.advance(60_000)
  t.equal(errors().length, 1, 'said once')
  b.executor.switchOn()
  await b.clock.advance(40_000)
  t.strictSame(errors(), [said, ''])
  t.equal(b.manager.status('t1')?.State, 'running')
})

t.test('what the Engine says of the node is looked at again', async (t) => {
  const b = await startBench(t)
  await b.settle()
  const descriptions = () => b.manager.session.said.filter(({ kind }) => kind === 'description')
  const count = descriptions().length
  await b.clock.advance(ENGINE_FACTS_MS * 2)
  t.equal(descriptions().length, count, 'nothing changed')
  const { Engine } = b.executor.node
  const Plugins = [{ Type: 'Volume', Name: 'sshfs:latest' }]
  b.executor.node = { ...b.executor.node, Engine: { ...Engine, Plugins } }
  await b.clock.advance(ENGINE_FACTS_MS)
  t.match(descriptions().slice(count), [{ description: { Engine: { Plugins } } }])
  b.executor.switchOff()
  await b.clock.advance(ENGINE_FACTS_MS)
  b.executor.switchOn()
  await b.clock.advance(ENGINE_FACTS_MS)
  t.match(descriptions().at(-1), { description: { Swarmctl: { EngineError: '' } } })
})

t.test('plugins: those in use, and those that the Engine manages', async (t) => {
  const info = {
    ...{ Name: 'h1', OSType: 'linux', Architecture: 'x86_64', NCPU: 2, MemTotal: 1 },
    ...{ ServerVersion: '28.0.0', Labels: null },
    Plugins: {
      Volume: ['local', 'sshfs:latest'],
      Network: null,
      Authorization: null,
      Log: ['gelf'],
    },
  }
  const managed = (Name: string, type: string, Enabled = true) => ({
    ...{ Name, Enabled },
    Config: { Interface: { Types: [type] } },
  })
  const facts = engineFacts(info, [
    managed('sshfs:latest', 'docker.volumedriver/1.0'),
    managed('loki:latest', 'docker.logdriver/1.0'),
    managed('off:latest', 'docker.volumedriver/1.0', false),
    managed('other:latest', 'example.volumedriver/1.0'),
    managed('metrics:latest', 'docker.metricscollector/1.0'),
    { Name: 'odd:latest', Enabled: true, Config: { Interface: { Types: null } } },
  ])
  t.strictSame(
    facts.Engine.Plugins.map(({ Type, Name }) => `${Type} ${Name}`),
    [
      'Log gelf',
      'Log loki:latest',
      'Volume local',
      'Volume sshfs:latest',
      'metricscollector metrics:latest',
    ],
  )
})
