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
import type { ContainerPlan } from '../../src/worker/executor.ts'
import { sampleNode } from '../support/objects.ts'
import { agentTask } from '../support/worker/agent-bench.ts'

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
  return { calls, executor: new DockerExecutor({ engine: engine as never }) }
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
