import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import type { ContainerAnswer } from '../../src/api/container-call.ts'
import { SwarmctlError } from '../../src/api/errors.ts'
import { engineJson } from '../../src/http/engine-proxy.ts'
import { Surface } from '../../src/http/surface.ts'
import { type ApiNode, silentLog, startNode, until } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleService, sampleTask } from '../support/objects.ts'
import { VirtualClock } from '../support/orchestration/virtual-clock.ts'

t.test(
  'an event after the Engine’s end, for a client that has not read all, ends nobody',
  async (t) => {
    const node = await startNode(t)
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): void => void uncaught.push(error)
    process.on('uncaughtException', onUncaught)
    t.teardown(() => process.off('uncaughtException', onUncaught))
    const answer = await node.open('GET', '/v1.41/events')
    answer.pause()
    await until(() => node.engine.eventReaders === 1)
    for (let at = 0; at < 8; at++)
      node.engine.emit(`${JSON.stringify({ x: 'x'.repeat(100_000) })}\n`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    node.engine.endEvents()
    await until(() => node.engine.eventReaders === 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await node.swarm.store.update((tx) => tx.put('service', sampleService('web1', 'web')))
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.strictSame(uncaught, [])
    answer.destroy()
    t.equal((await node.call('GET', '/services')).status, 200)
  },
)

/** Where other managers reach the node. */
const forwardedPort = async (t: Test, { swarm, engine }: ApiNode, clock: Clock = swarm.clock) => {
  const surface = new Surface({ port: swarm, engine, clock, log: silentLog })
  const server = createServer((request, response) => {
    void surface.handleForwarded(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

t.test('what another manager forwards concerns the cluster, never this machine', async (t) => {
  const node = await startNode(t)
  const { swarm, engine } = node
  const port = await forwardedPort(t, node)
  const status = async (method: string, path: string): Promise<number> => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port, method, path, agent: false }, resolve)
      request.on('error', reject)
      request.end()
    })
    answer.resume()
    return answer.statusCode ?? 0
  }
  t.equal(await status('GET', '/services'), 200)
  t.equal(await status('GET', '/v1.41/nodes'), 200)
  const seen = engine.seen.length
  for (const [method, path] of [
    ['POST', '/swarm/leave?force=1'],
    ['POST', '/containers/create'],
    ['GET', '/networks/bridge'],
    ['GET', '/events'],
    ['GET', '/containers/json'],
  ] as const)
    t.equal(await status(method, path), 403, `${method} ${path}`)
  t.strictSame(
    engine.seen.slice(seen).filter(({ url }) => !url.endsWith('/version')),
    [],
    'its Engine was not asked',
  )
  t.strictSame(swarm.calls, [])
})

t.test('another manager is told of a call that is still under way', async (t) => {
  const clock = new VirtualClock()
  const node = await startNode(t, { clock })
  await node.swarm.store.update((tx) => {
    tx.put('service', sampleService('web1', 'web'))
    tx.put('task', sampleTask('task1', 'web1'))
  })
  let begin = (_: ContainerAnswer): void => {}
  let isBegun = false
  node.swarm.container = () => {
    const answer = new Promise<ContainerAnswer>((resolve) => {
      begin = resolve
    })
    isBegun = true
    return {
      ...{ answer, send: async () => {}, end() {}, abort() {} },
      async *body() {
        yield Buffer.from('unpacked')
      },
    }
  }
  const put = { method: 'PUT', path: '/tasks/task1/archive?path=/', agent: false }
  const unpack = async (where: { port: number } | { socketPath: string }, signs: number) => {
    isBegun = false
    let told = 0
    const request = httpRequest({ ...put, ...where })
    request.on('information', ({ statusCode }) => {
      t.equal(statusCode, 102)
      told += 1
    })
    request.end('tar')
    await until(() => isBegun)
    for (let at = 1; at <= signs; at++) {
      await clock.advance(8_000)
      await until(() => told === at)
    }
    await clock.advance(signs === 0 ? 60_000 : 0)
    begin({ status: 200, headers: {} })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of answer) text += chunk
    await clock.advance(60_000)
    t.strictSame([told, answer.statusCode, text], [signs, 200, 'unpacked'])
  }
  await unpack({ port: await forwardedPort(t, node, clock) }, 4)
  await unpack({ socketPath: node.socketPath }, 0)
})

t.test('a client that goes away while its task is looked up leaves no call behind', async (t) => {
  const node = await startNode(t)
  const { swarm } = node
  await swarm.store.update((tx) => {
    tx.put('service', sampleService('web1', 'web'))
    tx.put('task', sampleTask('task1', 'web1'))
  })
  let asked = 0
  swarm.container = () => {
    asked += 1
    throw new SwarmctlError('UNAVAILABLE', 'its node was asked')
  }
  const path = '/tasks/task1/container'
  t.equal((await node.call('GET', path)).status, 503)
  const control = swarm.control()
  const getTask = control.getTask.bind(control)
  const client = httpRequest({ socketPath: node.socketPath, path, agent: false })
  let isOver = false
  control.getTask = async (...args) => {
    client.destroy()
    // The server hears of it, then the task comes.
    await new Promise((resolve) => setTimeout(resolve, 50))
    setImmediate(() => {
      isOver = true
    })
    return getTask(...args)
  }
  client.on('error', () => {})
  client.end()
  await until(() => isOver)
  t.equal(asked, 1, 'its node is not asked')
})

t.test('a client that goes away while its logs are looked up leaves no stream open', async (t) => {
  const node = await startNode(t)
  const { swarm } = node
  await swarm.store.update((tx) => {
    tx.put('service', sampleService('web1', 'web'))
    const ContainerStatus = { ContainerID: 'c1', PID: 1, ExitCode: 0 }
    const Status = { Timestamp: '', State: 'running', Message: '', ContainerStatus } as const
    tx.put('task', sampleTask('task1', 'web1', { NodeID: NODE_ID, Status }))
  })
  const control = swarm.control()
  for (const [path, look] of [
    ['/services/web1/logs', 'listTasks'],
    ['/tasks/task1/logs', 'getTask'],
  ] as const) {
    const client = httpRequest({
      ...{ socketPath: node.socketPath, agent: false },
      path: `${path}?stdout=1&follow=1`,
    })
    const ask = control[look].bind(control) as (...args: unknown[]) => Promise<unknown>
    let isOver = false
    control[look] = (async (...args: unknown[]) => {
      client.destroy()
      // The server hears of it, then what was asked for comes.
      await new Promise((resolve) => setTimeout(resolve, 50))
      setTimeout(() => {
        isOver = true
      }, 50)
      return ask(...args)
    }) as never
    client.on('error', () => {})
    client.end()
    await until(() => isOver)
    t.strictSame(swarm.logRequests, [], path)
  }
})

t.test('an Engine that hangs is not waited for', async (t) => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const engine = {
    address: () => ({ host: '127.0.0.1', port }),
    apiVersions: async () => ({ oldest: '1.24', newest: '1.41' }),
  }
  await t.rejects(engineJson(engine, '/version', 50), { code: 'ENGINE_UNAVAILABLE' })
})

t.test('a request may name the host in its first line', async (t) => {
  const node = await startNode(t)
  for (const path of ['http://docker/services', 'HTTP://docker:2375/v1.41/services?status=1']) {
    const { status, body } = await node.call('GET', path)
    t.equal(status, 200, path)
    t.strictSame(body, [], path)
  }
  t.equal((await node.call('GET', 'http://docker')).status, 404)
  await node.call('GET', 'http://docker/v1.41/containers/json?all=1')
  t.equal(node.engine.seen.at(-1)?.url, '/v1.41/containers/json?all=1', 'the Engine gets its path')
})
