import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { containerBody, endpointSettings } from '../../src/worker/docker/container-body.ts'
import { DockerExecutor } from '../../src/worker/docker/docker-executor.ts'
import {
  EngineClient,
  type EngineRequest,
  EngineTimeout,
} from '../../src/worker/docker/engine-client.ts'
import { type ContainerPlan, EXIT_CODE_UNKNOWN } from '../../src/worker/executor.ts'
import { sampleNode } from '../support/objects.ts'
import { agentTask } from '../support/worker/agent-bench.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const network = (n: number) => ({
  dockerNetwork: `swarmctl-${n}`,
  ipv4Address: `10.${n}.1.2`,
  aliases: [],
})

const plan: ContainerPlan = {
  task: agentTask('t1', {}, true),
  node: sampleNode('n1', 1).Description,
  files: { mounts: [] },
  wiring: {
    networks: [network(1), network(2), network(3)],
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
  },
}

/** An Engine that answers by path; what it has no answer for it takes. */
const executorOn = (answers: Record<string, unknown>) => {
  const calls: string[] = []
  const engine = {
    isLocal: false,
    request: async ({ method, path }: EngineRequest) => {
      calls.push(`${method} ${path}`)
      const answer = answers[path]
      if (answer instanceof Error) throw answer
      return answer ?? {}
    },
  }
  const log = new CollectedLog()
  return { calls, log, executor: new DockerExecutor({ engine: engine as never, log }) }
}

t.test('a container that can’t be finished is not left behind', async (t) => {
  const refused = new SwarmctlError('INTERNAL', 'Address already in use')
  const { calls, executor } = executorOn({
    '/containers/create': { Id: 'c1' },
    '/networks/swarmctl-3/connect': refused,
  })
  await t.rejects(executor.create(plan), { message: 'Address already in use' })
  t.strictSame(calls, [
    'POST /containers/create',
    'POST /networks/swarmctl-2/connect',
    'POST /networks/swarmctl-3/connect',
    'DELETE /containers/c1',
  ])
})

t.test('on a node-local network the Engine gives the address', async (t) => {
  const place = { dockerNetwork: 'swarmctl-local-m1', ipv4Address: '', aliases: [] }
  const local = { ...plan, wiring: { ...plan.wiring!, networks: [place, network(1)] } }
  t.match(containerBody(local), {
    HostConfig: { NetworkMode: place.dockerNetwork },
    NetworkingConfig: { EndpointsConfig: { [place.dockerNetwork]: {} } },
  })
  t.strictSame(endpointSettings(place), {})
  t.strictSame(endpointSettings({ ...place, driverOpts: { a: 'b' } }), { DriverOpts: { a: 'b' } })
  t.strictSame(endpointSettings(network(1)), { IPAMConfig: { IPv4Address: '10.1.1.2' } })
})

t.test('one that an Engine left half made, as it went away, is finished', async (t) => {
  const gone = executorOn({
    '/containers/create': { Id: 'c1' },
    '/networks/swarmctl-2/connect': new SwarmctlError('ENGINE_UNAVAILABLE', 'gone'),
  })
  await t.rejects(gone.executor.create(plan), { code: 'ENGINE_UNAVAILABLE' })
  t.notOk(
    gone.calls.some((call) => call.startsWith('DELETE')),
    'nobody is there to do it',
  )
  const { calls, executor } = executorOn({
    '/containers/create': new SwarmctlError('ALREADY_EXISTS', 'the name is in use'),
    '/containers/web.1.t1/json': {
      Id: 'c1',
      Config: { Labels: { 'com.docker.swarm.task.id': 't1' } },
      NetworkSettings: { Networks: { 'swarmctl-1': {}, 'swarmctl-2': {} } },
    },
  })
  t.equal(await executor.create(plan), 'c1')
  t.strictSame(calls.slice(2), ['POST /networks/swarmctl-3/connect'], 'once each')
})

t.test('a start that hangs is no Engine that is gone, if that answers otherwise', async (t) => {
  const hung = new EngineTimeout(120_000, new Error('aborted'))
  const { executor } = executorOn({ '/containers/c1/start': hung })
  await t.rejects(executor.start('c1'), { code: 'TIMEOUT' })
  const dead = executorOn({ '/containers/c1/start': hung, '/_ping': hung })
  await t.rejects(dead.executor.start('c1'), { code: 'ENGINE_UNAVAILABLE' })

  const listed = executorOn({
    '/containers/json': [
      { Id: 'c1', State: 'created', Labels: { 'com.docker.swarm.task.id': 't1' } },
    ],
    '/containers/c1/json': hung,
  })
  t.match(
    await listed.executor.list('n1'),
    [{ id: 'c1', taskId: 't1', status: 'created' }],
    'the Engine answers no question about it meanwhile',
  )
})

t.test('a container that the Engine can’t inspect is known by the list', async (t) => {
  const Labels = { 'com.docker.swarm.task.id': 't' }
  const damaged = new SwarmctlError('INTERNAL', 'stat /var/lib/docker/overlay2/4f1c: no such file')
  const hung = new EngineTimeout(20_000, new Error('aborted'))
  const running = {
    ...{ Id: 'well', State: { Status: 'running', Pid: 7, ExitCode: 0 }, Config: { Labels } },
    ...{ HostConfig: {}, NetworkSettings: {} },
  }
  const listed = [
    ['up', 'running', 'Up 2 hours'],
    ['sick', 'running', 'Up 2 hours (unhealthy)'],
    ['young', 'running', 'Up 2 seconds (health: starting)'],
    ['paused', 'paused', 'Up 2 hours (Paused)'],
    ['ended', 'exited', 'Exited (3) 2 hours ago'],
    ['lost', 'dead', 'Dead'],
  ].map(([Id, State, Status]) => ({ Id, State, Status, Labels }))
  const answers: Record<string, unknown> = Object.fromEntries(
    listed.map(({ Id }, i) => [`/containers/${Id}/json`, i === 0 ? hung : damaged]),
  )
  const all = [...listed, { Id: 'well', State: 'running', Labels }]
  Object.assign(answers, { '/containers/json': all, '/containers/well/json': running })
  const { executor, log } = executorOn(answers)
  t.match(await executor.list('n1'), [
    { id: 'up', taskId: 't', status: 'running', health: 'none', pid: 0 },
    { id: 'sick', status: 'running', health: 'unhealthy' },
    { id: 'young', status: 'running', health: 'starting' },
    { id: 'paused', status: 'running', health: 'none' },
    { id: 'ended', status: 'exited', exitCode: 3 },
    { id: 'lost', status: 'exited', exitCode: EXIT_CODE_UNKNOWN },
    { id: 'well', status: 'running', pid: 7 },
  ])
  t.equal(log.lines.length, listed.length)
  await executor.list('n1')
  answers['/containers/json'] = []
  await executor.list('n2')
  answers['/containers/json'] = all
  await executor.list('n1')
  t.equal(log.lines.length, listed.length, 'each is told once')
  answers['/containers/sick/json'] = { ...running, Id: 'sick' }
  await executor.list('n1')
  answers['/containers/sick/json'] = damaged
  await executor.list('n1')
  t.equal(log.lines.length, listed.length + 1, 'and when it is so again')

  answers['/_ping'] = hung
  await t.rejects(executor.list('n1'), { code: 'ENGINE_UNAVAILABLE' }, 'it hangs for all')
  answers['/_ping'] = {}
  answers['/containers/well/json'] = new SwarmctlError('ENGINE_UNAVAILABLE', 'gone')
  await t.rejects(executor.list('n1'), { message: 'gone' })
  answers['/containers/well/json'] = new SwarmctlError('NOT_FOUND', 'removed meanwhile')
  t.equal((await executor.list('n1')).length, listed.length)
})

t.test('a limit of months is no limit of a millisecond', async (t) => {
  const server = createServer((_, response) => setTimeout(() => response.end('{}'), 50))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const engine = new EngineClient({ dockerHost: `tcp://127.0.0.1:${port}` })
  const month = 31 * 24 * 3_600_000
  await t.resolves(engine.request({ method: 'GET', path: '/slow', timeoutMs: month }))
  const short = engine.request({ method: 'GET', path: '/slow', timeoutMs: 10 })
  await t.rejects(short, { code: 'ENGINE_UNAVAILABLE', message: /nothing within 0.01 s/ })
  t.ok((await short.catch((error: unknown) => error)) instanceof EngineTimeout)
})
