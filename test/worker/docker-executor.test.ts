import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { DockerExecutor } from '../../src/worker/docker/docker-executor.ts'
import { EngineClient, type EngineRequest } from '../../src/worker/docker/engine-client.ts'
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

t.test('a limit of months is no limit of a millisecond', async (t) => {
  const server = createServer((_, response) => setTimeout(() => response.end('{}'), 50))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const engine = new EngineClient({ dockerHost: `tcp://127.0.0.1:${port}` })
  const month = 31 * 24 * 3_600_000
  await t.resolves(engine.request({ method: 'GET', path: '/slow', timeoutMs: month }))
})
