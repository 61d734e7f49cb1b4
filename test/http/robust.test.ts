import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { engineJson } from '../../src/http/engine-proxy.ts'
import { Surface } from '../../src/http/surface.ts'
import { silentLog, startNode, until } from '../support/http/api-node.ts'
import { sampleService, sampleTask } from '../support/objects.ts'

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

t.test('what another manager forwards concerns the cluster, never this machine', async (t) => {
  const node = await startNode(t)
  const { swarm, engine } = node
  const surface = new Surface({ port: swarm, engine, clock: swarm.clock, log: silentLog })
  const server = createServer((request, response) => {
    void surface.handleForwarded(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
  const { port } = server.address() as AddressInfo
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
