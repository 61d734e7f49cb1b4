import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { createServer } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { Credentials } from '../../src/pki/credentials.ts'
import { connect, connectAnonymously } from '../../src/rpc/client.ts'
import { encodeCall } from '../../src/rpc/codec.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { RpcServer, type RpcServerOptions } from '../../src/rpc/server.ts'
import { BATCH_SUBPROTOCOL, encodeFrame, SUBPROTOCOL } from '../../src/rpc/wire.ts'
import { noLog, realClock, testCluster } from '../support/rpc/cluster-fixture.ts'

const DAY_MS = 24 * 3_600_000
const cluster = await testCluster()
const foreign = await testCluster()
const manager = await cluster.issue()
const worker = await cluster.issue({ role: 'worker' })
const deps = { log: noLog, clock: realClock }
const removed = new Set<string>()
const demoted = new Set<string>()

const handlers = new RpcHandlers({
  roleOf: ({ nodeId, role }) => (demoted.has(nodeId) ? 'worker' : role),
})
handlers.onRequest('public', async () => 'hello', { anonymous: true })
let goOn = (): void => {}
const held = new Promise<void>((resolve) => {
  goOn = resolve
})
handlers.onRequest('held', () => held, { anonymous: true })
handlers.onRequest('echo', async (body) => body)
handlers.onRequest('managers', async () => 'secret', { roles: ['manager'] })
handlers.onRequest('raft', async () => 'said', { roles: ['manager'], trustsCertificate: true })
handlers.onStream('stream', async () => {}, { anonymous: true })

const serve = async (
  t: Test,
  credentials: Credentials = manager,
  options: Partial<RpcServerOptions> = {},
) => {
  const server = new RpcServer(
    { ...deps, handlers, isRemoved: (nodeId) => removed.has(nodeId) },
    { listenAddr: '127.0.0.1:0', credentials, ...options },
  )
  await server.start()
  t.teardown(() => server.stop())
  return { server, addr: `127.0.0.1:${server.port}` }
}

const join = (addr: string, credentials: Credentials, expectNodeId?: string) =>
  connect(addr, {
    ...deps,
    handlers: new RpcHandlers(),
    credentials,
    ...(expectNodeId !== undefined && { expectNodeId }),
  })

/** Credentials with another cluster's root: what an attacker with an own CA has. */
const disguised = async (): Promise<Credentials> => ({
  ...(await foreign.issue()),
  rootCAPem: cluster.root.certPem,
  clusterId: cluster.clusterId,
})

t.test('the server refuses by certificate and says why', async (t) => {
  const { addr } = await serve(t)
  await t.rejects(join(addr, await disguised()), {
    code: 'UNAUTHENTICATED',
    message: /^your certificate is not of this cluster/,
  })
  const expired = await cluster.issue({ ageMs: 100 * DAY_MS })
  await t.rejects(join(addr, expired), {
    code: 'UNAUTHENTICATED',
    message: /^your certificate has expired by the clock here \(.*NTP.*leave and join again$/,
  })
  const early = await cluster.issue({ ageMs: -DAY_MS })
  await t.rejects(join(addr, early), {
    code: 'UNAUTHENTICATED',
    message: /^your certificate is not valid yet by the clock here/,
  })
  const gone = await cluster.issue({ role: 'worker' })
  removed.add(gone.nodeId)
  await t.rejects(join(addr, gone), {
    code: 'NODE_REMOVED',
    message: /was removed from the cluster/,
  })
  const good = await join(addr, worker)
  t.equal(await good.request('echo', 1), 1)
  await t.rejects(good.request('managers', {}), { code: 'PERMISSION_DENIED' })
  good.close()
})

t.test('without certificate only what is public may be called', async (t) => {
  const { addr } = await serve(t)
  const connection = await connectAnonymously(addr, {
    ...deps,
    handlers: new RpcHandlers(),
    rootCAPem: cluster.root.certPem,
  })
  t.equal(await connection.request('public', {}), 'hello')
  for (const method of ['echo', 'managers', 'unknown']) {
    await t.rejects(connection.request(method, {}), { code: 'PERMISSION_DENIED' })
  }
  const stream = connection.openStream('stream', {})
  await t.rejects(stream.messages()[Symbol.asyncIterator]().next(), { code: 'UNAVAILABLE' })
  await t.rejects(connection.request('public', Buffer.alloc(100_000)), {
    code: 'UNAVAILABLE',
    message: /sent more than 65536 bytes/,
  })
})

t.test('the client verifies who answers', async (t) => {
  const { addr } = await serve(t)
  const { addr: workerAddr } = await serve(t, worker)
  const { addr: foreignAddr } = await serve(t, await foreign.issue())
  const { addr: expiredAddr } = await serve(t, await cluster.issue({ ageMs: 100 * DAY_MS }))
  const { addr: earlyAddr } = await serve(t, await cluster.issue({ ageMs: -DAY_MS }))
  await t.rejects(join(foreignAddr, worker), {
    code: 'UNAUTHENTICATED',
    message: /its certificate is not of this cluster/,
  })
  await t.rejects(join(expiredAddr, worker), { code: 'UNAUTHENTICATED', message: /has expired/ })
  await t.rejects(join(earlyAddr, worker), { code: 'UNAUTHENTICATED', message: /NTP/ })
  await t.rejects(join(workerAddr, manager), {
    code: 'UNAUTHENTICATED',
    message: `the node at ${workerAddr} is a worker, not a manager`,
  })
  await t.rejects(join(addr, worker, 'someone-else'), {
    code: 'UNAUTHENTICATED',
    message: `the node at ${addr} is ${manager.nodeId}, not someone-else`,
  })
  const toWorker = await join(workerAddr, manager, worker.nodeId)
  t.equal(toWorker.peer?.role, 'worker')
  toWorker.close()
})

t.test('what can not be reached', async (t) => {
  const { server, addr } = await serve(t)
  await server.stop()
  await t.rejects(join(addr, worker), {
    code: 'UNAVAILABLE',
    message: `can't connect to ${addr}: nothing listens there: is the swarmctl daemon running?`,
  })
  const plain = createServer((socket) => socket.end('220 mail\r\n'))
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  const { port } = plain.address() as { port: number }
  await t.rejects(join(`127.0.0.1:${port}`, worker), { code: 'UNAVAILABLE', message: /TLS/ })
  await t.rejects(join('a:b:c', worker), { code: 'INVALID_ARGUMENT', message: /HOST:PORT/ })
  const aborted = connect(addr, {
    ...deps,
    handlers,
    credentials: worker,
    signal: AbortSignal.abort(),
  })
  await t.rejects(aborted, { code: 'UNAVAILABLE' })
  await t.rejects(serve(t, manager, { listenAddr: '192.0.2.1:1' }), {
    code: 'UNAVAILABLE',
    message: /^can't listen on 192.0.2.1:1/,
  })
})

t.test('an open connection ends when its node is removed', async (t) => {
  const { addr } = await serve(t)
  const credentials = await cluster.issue({ role: 'worker' })
  const connection = await join(addr, credentials)
  removed.add(credentials.nodeId)
  const reason = await new Promise((resolve) => {
    connection.onClose(resolve)
  })
  t.equal(reason, 'this node was removed from the cluster')
})

t.test('a server takes new credentials without closing', async (t) => {
  const { server, addr } = await serve(t)
  const before = await join(addr, worker)
  const renewed = await cluster.issue()
  server.setCredentials(renewed)
  const after = await join(addr, worker)
  t.equal(after.peer?.nodeId, renewed.nodeId)
  t.equal(await before.request('echo', 1), 1)
  before.close()
  after.close()
})

t.test('TLS 1.2 and other wire versions are refused', async (t) => {
  const { server, addr } = await serve(t)
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: server.port,
      maxVersion: 'TLSv1.2',
      rejectUnauthorized: false,
    })
    socket.on('error', resolve)
  })
  t.match(error.code, /PROTOCOL_VERSION/)

  const tls = { ca: manager.rootCAPem, cert: worker.certPem, key: worker.keyPem }
  const open = (protocol: string) =>
    new WebSocket(`wss://${addr}/rpc`, protocol, { ...tls, rejectUnauthorized: false })
  const newer = open('swarmctl-rpc-2')
  const refusal = await new Promise<string>((resolve) => {
    newer.on('unexpected-response', async (_request, response) => {
      t.equal(response.statusCode, 426)
      resolve(String((await response.toArray())[0]))
    })
  })
  t.same(JSON.parse(refusal), {
    code: 'UNIMPLEMENTED',
    message:
      'the peer speaks rpc version 2 and this node speaks version 1: run the same version of swarmctl on all nodes',
  })
  const chosen = async (offered: string[]) => {
    const webSocket = new WebSocket(`wss://${addr}/rpc`, offered, {
      ...{ ...tls, rejectUnauthorized: false },
    })
    await new Promise((resolve) => webSocket.on('open', resolve))
    webSocket.close()
    return webSocket.protocol
  }
  t.equal(await chosen([SUBPROTOCOL]), SUBPROTOCOL, 'a node that knows no batches gets none')
  t.equal(await chosen([BATCH_SUBPROTOCOL, SUBPROTOCOL]), BATCH_SUBPROTOCOL)
  const closeReason = (frame: Buffer) =>
    new Promise<string>((resolve) => {
      const webSocket = open(SUBPROTOCOL)
      webSocket.on('open', () => webSocket.send(frame))
      webSocket.on('close', (code, reason) => resolve(`${code} ${reason}`))
    })
  const frame = encodeFrame(
    { kind: 'notify', more: false, id: 0 },
    Buffer.from([0x92, 0xa1, 0x61, 1]),
  )
  const newerFrame = Buffer.from(frame)
  newerFrame[0] = 2
  t.match(await closeReason(newerFrame), /^1002 the peer speaks rpc version 2 /)
  t.match(await closeReason(Buffer.from([1, 2])), /^1002 the peer sent a frame without header/)
  const evenId = encodeFrame({ kind: 'request', more: false, id: 2 }, Buffer.from([0x90]))
  t.match(await closeReason(evenId), /^1002 the peer used an id that is not free/)
  const noCall = encodeFrame({ kind: 'notify', more: false, id: 0 }, Buffer.from([0xc1]))
  t.match(await closeReason(noCall), /^1002 /)
})

t.test('garbage closes its connection and nothing else', async (t) => {
  const { addr } = await serve(t)
  const good = await join(addr, worker)
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed % below
  }
  const options = { ca: manager.rootCAPem, rejectUnauthorized: false }
  const feed = async (withCertificate: boolean) => {
    const identity = withCertificate ? { cert: worker.certPem, key: worker.keyPem } : {}
    const webSocket = new WebSocket(`wss://${addr}/rpc`, SUBPROTOCOL, { ...options, ...identity })
    await new Promise((resolve) => webSocket.on('open', resolve))
    for (let i = 0; i < 50; i++) {
      const frame = Buffer.from([...Array(2 + random(60))].map(() => random(256)))
      frame[0] = 1
      frame[1] = random(12) | (random(4) === 0 ? 0x80 : 0)
      if (frame.length > 8) frame.writeUIntBE(random(8), 2, 6)
      webSocket.send(frame)
    }
    webSocket.close()
    await new Promise((resolve) => webSocket.on('close', resolve))
  }
  await Promise.all([...Array(20)].map((_, i) => feed(i % 2 === 0)))
  t.equal(await good.request('echo', 'fine'), 'fine')
  good.close()
})

t.test(
  'a kept-alive connection of a node that was removed, or whose certificate expired, is refused',
  async (t) => {
    const credentials = await cluster.issue()
    let nowMs = Date.now()
    const server = new RpcServer(
      {
        ...{ ...deps, handlers, clock: { ...realClock, nowMs: () => nowMs } },
        isRemoved: (nodeId) => removed.has(nodeId),
      },
      {
        ...{ listenAddr: '127.0.0.1:0', credentials: manager },
        httpHandler: (_request, response, peer) => response.end(peer.nodeId),
      },
    )
    await server.start()
    t.teardown(() => server.stop())
    const keepAlive = async () => {
      const socket = tlsConnect({
        ...{ host: '127.0.0.1', port: server.port, ca: manager.rootCAPem },
        ...{ key: credentials.keyPem, cert: credentials.certPem },
        checkServerIdentity: () => undefined,
      })
      t.teardown(() => socket.destroy())
      const get = async () => {
        socket.write('GET /services HTTP/1.1\r\nhost: manager\r\n\r\n')
        const [bytes] = await once(socket, 'data')
        return String(bytes)
      }
      t.ok((await get()).includes(credentials.nodeId))
      t.ok((await get()).includes(credentials.nodeId))
      return get
    }
    const [getLater, getRemoved] = [await keepAlive(), await keepAlive()]
    nowMs += 10 * 365 * DAY_MS
    t.match(await getLater(), /^HTTP\/1.1 401 [\s\S]*certificate has expired/)
    nowMs = Date.now()
    removed.add(credentials.nodeId)
    t.match(await getRemoved(), /^HTTP\/1.1 401 [\s\S]*removed from the cluster/)
  },
)

t.test('who is refused holds no connection by a body that never ends', async (t) => {
  const { server } = await serve(t)
  for (const identity of [{}, { key: worker.keyPem, cert: worker.certPem }]) {
    const socket = tlsConnect({
      ...{ host: '127.0.0.1', port: server.port, ca: manager.rootCAPem, ...identity },
      checkServerIdentity: () => undefined,
    })
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    const closed = once(socket, 'close')
    socket.write('POST /services HTTP/1.1\r\nhost: manager\r\ncontent-length: 1000000\r\n\r\na')
    const [bytes] = await once(socket, 'data')
    t.match(String(bytes), /^HTTP\/1.1 403 /)
    const trickle = setInterval(() => socket.write('a'), 100)
    t.teardown(() => clearInterval(trickle))
    await closed
  }
})

t.test('who asks without a certificate and does not read is cut off', async (t) => {
  const { server } = await serve(t)
  const socket = tlsConnect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  const key = Buffer.alloc(16).toString('base64')
  socket.write(
    `GET /rpc HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\nsec-websocket-protocol: ${SUBPROTOCOL}\r\n\r\n`,
  )
  await once(socket, 'data')
  socket.pause()
  let isClosed = false
  socket.on('close', () => {
    isClosed = true
  })
  const call = encodeCall({ method: 'x'.repeat(60), body: null })
  let asked = 0
  const request = () => {
    asked += 1
    const frame = encodeFrame({ kind: 'request', more: false, id: 2 * asked - 1 }, call)
    return Buffer.concat([Buffer.from([0x82, 0x80 | frame.length, 0, 0, 0, 0]), frame])
  }
  // What the kernel buffers of the answers is some megabytes.
  while (!isClosed && asked < 200_000) {
    socket.write(Buffer.concat(Array.from({ length: 1000 }, request)))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  t.ok(isClosed, `${asked} requests were taken`)
})

t.test('an idle connection without a certificate gives way to a newcomer', async (t) => {
  const { addr } = await serve(t)
  const enter = async () => {
    const options = { ...deps, handlers: new RpcHandlers(), rootCAPem: cluster.root.certPem }
    const connection = await connectAnonymously(addr, options)
    t.teardown(() => connection.close())
    return connection
  }
  const all: Awaited<ReturnType<typeof enter>>[] = []
  for (let count = 0; count < 64; count++) all.push(await enter())
  const answers = [all[0]!.request('held', null)]
  await all[0]!.request('public', null)
  const why = new Promise<string>((resolve) => all[1]!.onClose(resolve))
  all.push(await enter())
  t.equal(await all.at(-1)!.request('public', null), 'hello')
  t.match(await why, /^others are joining and this connection was idle/)
  await t.rejects(all[1]!.request('public', null), { code: 'UNAVAILABLE' })
  t.equal(all.filter(({ isOpen }) => isOpen).length, 64, 'the oldest idle one alone')

  for (const connection of all.slice(2)) {
    answers.push(connection.request('held', null))
    await connection.request('public', null)
  }
  await t.rejects(enter(), { code: 'UNAVAILABLE', message: /too many nodes are joining at once/ })
  goOn()
  await Promise.all(answers)
  t.equal(answers.length, 64, 'nobody who waited lost his answer')
})

t.test('plain HTTPS is for managers alone', async (t) => {
  const seen: string[] = []
  const { server } = await serve(t, manager, {
    httpHandler: (request, response, peer) => {
      seen.push(`${peer.nodeId} ${request.method} ${request.url}`)
      response.end('forwarded')
    },
    upgradeHandler: (_request, socket) => {
      socket.end('HTTP/1.1 101 UPGRADED\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n')
    },
  })
  const get = (path: string, credentials: Credentials | undefined, headers = {}) =>
    new Promise<string>((resolve, reject) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port: server.port,
        path,
        headers,
        agent: false,
        ca: manager.rootCAPem,
        checkServerIdentity: () => undefined,
        ...(credentials && { key: credentials.keyPem, cert: credentials.certPem }),
      })
      request.on('error', reject)
      request.on('upgrade', (response, socket) => {
        socket.destroy()
        resolve(`${response.statusCode}`)
      })
      request.on('response', async (response) => {
        resolve(`${response.statusCode} ${(await response.toArray()).join('')}`)
      })
      request.end()
    })
  t.equal(await get('/v1.45/services', manager), '200 forwarded')
  t.match(await get('/v1.45/services', worker), /^403 .*PERMISSION_DENIED/)
  t.match(await get('/v1.45/services', undefined), /^403 /)
  t.match(await get('/rpc', manager), /^404 /)
  const upgrade = { connection: 'upgrade', upgrade: 'tcp' }
  t.equal(await get('/exec/1/start', manager, upgrade), '101')
  t.match(await get('/exec/1/start', worker, upgrade), /^403 /)
  t.same(seen, [`${manager.nodeId} GET /v1.45/services`])

  const connection = await join(`127.0.0.1:${server.port}`, manager)
  t.equal(await connection.request('managers', {}), 'secret')
  demoted.add(manager.nodeId)
  t.teardown(() => demoted.clear())
  t.match(await get('/v1.45/services', manager), /^403 /, 'an old certificate gives no rights')
  await t.rejects(connection.request('managers', {}), {
    code: 'PERMISSION_DENIED',
    message: /by a worker/,
  })
  t.equal(await connection.request('raft', {}), 'said', 'who decides by itself is asked')
  t.equal(await connection.request('echo', 1), 1, 'a worker it may be')
  connection.close()
})
