import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { connect } from '../../src/rpc/client.ts'
import type { RpcConnection } from '../../src/rpc/connection.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { RpcServer } from '../../src/rpc/server.ts'
import {
  ASSEMBLY_BYTES_MAX,
  REQUESTS_MAX,
  STREAM_SEND_HIGH_WATER_BYTES,
  STREAM_WINDOW_BYTES,
} from '../../src/rpc/wire.ts'
import { noLog, realClock, testCluster } from '../support/rpc/cluster-fixture.ts'

const cluster = await testCluster()
const managerCredentials = await cluster.issue()
const workerCredentials = await cluster.issue({ role: 'worker' })

/** A manager's server and a worker's connection to it. */
const pair = async (t: Test, server: RpcHandlers, client = new RpcHandlers()) => {
  const deps = { log: noLog, clock: realClock }
  const rpcServer = new RpcServer(
    { ...deps, handlers: server },
    { listenAddr: '127.0.0.1:0', credentials: managerCredentials },
  )
  await rpcServer.start()
  const connection = await connect(`127.0.0.1:${rpcServer.port}`, {
    ...deps,
    handlers: client,
    credentials: workerCredentials,
  })
  t.teardown(async () => {
    connection.close()
    await rpcServer.stop()
  })
  return { connection, rpcServer }
}

const gate = () => {
  let open!: () => void
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

t.test('requests', async (t) => {
  const handlers = new RpcHandlers()
  handlers.onRequest('echo', async (body, { peer, remoteAddress }) => ({
    body,
    nodeId: peer?.nodeId,
    remoteAddress,
  }))
  handlers.onRequest('refuse', async () => {
    throw new SwarmctlError('OUT_OF_SEQUENCE', 'update out of sequence')
  })
  handlers.onRequest('break', async () => {
    throw new TypeError('a bug')
  })
  handlers.onRequest('managers', async () => 'never', { roles: ['manager'] })
  const { connection } = await pair(t, handlers)

  t.equal(connection.peer?.nodeId, managerCredentials.nodeId)
  t.equal(connection.peer?.role, 'manager')
  const body = { a: [1, null, 'ü', 2 ** 40], bytes: new Uint8Array([1, 2]), deep: { empty: {} } }
  t.match(await connection.request('echo', body), {
    body,
    nodeId: workerCredentials.nodeId,
    remoteAddress: '127.0.0.1',
  })
  await t.rejects(connection.request('refuse', {}), {
    name: 'SwarmctlError',
    code: 'OUT_OF_SEQUENCE',
    message: 'update out of sequence',
  })
  await t.rejects(connection.request('break', {}), { code: 'INTERNAL', message: 'a bug' })
  await t.rejects(connection.request('managers', {}), {
    code: 'PERMISSION_DENIED',
    message: 'managers may not be called by a worker',
  })
  await t.rejects(connection.request('unknown', {}), { code: 'UNAVAILABLE' })
  await t.rejects(connection.request('echo', Buffer.alloc(40_000_000)), {
    code: 'INVALID_ARGUMENT',
    message: /too large/,
  })
  const large = Buffer.alloc(10_000_000, 3)
  const answer = (await connection.request('echo', large)) as { body: Buffer }
  t.ok(answer.body.equals(large), 'a message of many chunks arrives whole')
})

t.test('a small request overtakes a large one', async (t) => {
  const handlers = new RpcHandlers()
  const order: string[] = []
  handlers.onRequest('put', async (body) => {
    order.push((body as { name: string }).name)
  })
  const { connection } = await pair(t, handlers)
  const large = connection.request('put', { name: 'large', data: Buffer.alloc(20_000_000) })
  const small = connection.request('put', { name: 'small' })
  await Promise.all([large, small])
  t.same(order, ['small', 'large'])
})

t.test('giving a request up aborts its handler', async (t) => {
  const handlers = new RpcHandlers()
  const started = gate()
  const stopped = gate()
  handlers.onRequest('wait', async (_body, { signal }) => {
    signal.addEventListener('abort', stopped.open)
    started.open()
    await stopped.opened
  })
  handlers.onRequest('echo', async (body) => body)
  handlers.onRequest('never', () => new Promise(() => {}))
  const { connection } = await pair(t, handlers)
  const controller = new AbortController()
  const request = connection.request('wait', {}, { signal: controller.signal })
  await started.opened
  controller.abort()
  await t.rejects(request, { code: 'TIMEOUT', message: 'wait was given up by its caller' })
  await stopped.opened
  await t.rejects(connection.request('never', {}, { timeoutMs: 20 }), {
    code: 'TIMEOUT',
    message: 'never got no answer within 20 ms',
  })
  t.equal(await connection.request('echo', 1), 1, 'the connection goes on')
})

t.test('a handler that asks for its signal after it was given up finds it aborted', async (t) => {
  const handlers = new RpcHandlers()
  const [started, givenUp, asked] = [gate(), gate(), gate()]
  const found: unknown[] = []
  handlers.onRequest('late', async (_body, context) => {
    started.open()
    await givenUp.opened
    const { signal } = context
    found.push(signal.aborted, signal.reason, signal === context.signal)
    asked.open()
  })
  handlers.onRequest('echo', async (body) => body)
  const { connection } = await pair(t, handlers)
  const controller = new AbortController()
  const request = connection.request('late', {}, { signal: controller.signal })
  await started.opened
  controller.abort()
  await t.rejects(request, { code: 'TIMEOUT' })
  t.equal(await connection.request('echo', 1), 1, 'what gives it up came before')
  givenUp.open()
  await asked.opened
  t.match(found, [true, { code: 'UNAVAILABLE', message: 'the caller gave up' }, true])
})

t.test('requests that were given up count until their handler has ended', async (t) => {
  const handlers = new RpcHandlers()
  const release = gate()
  let running = 0
  handlers.onRequest('busy', async () => {
    running += 1
    await release.opened
  })
  handlers.onRequest('echo', async (body) => body)
  const { connection } = await pair(t, handlers)
  const controller = new AbortController()
  const given = Array.from({ length: REQUESTS_MAX }, () =>
    connection.request('busy', {}, { signal: controller.signal }),
  )
  while (running < REQUESTS_MAX) await new Promise((resolve) => setImmediate(resolve))
  controller.abort()
  await Promise.allSettled(given)
  await t.rejects(connection.request('echo', 1), {
    code: 'UNAVAILABLE',
    message: /serves too many requests/,
  })
  release.open()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(await connection.request('echo', 1), 1)
})

t.test('notifies arrive in order and both ends may call', async (t) => {
  const handlers = new RpcHandlers()
  const got: unknown[] = []
  const client = new RpcHandlers()
  client.onRequest('hostname', async () => 'worker-1')
  handlers.onNotify('note', (body) => {
    got.push(body)
  })
  handlers.onRequest('ask-back', (_body, { connection }) => connection.request('hostname', {}))
  const { connection } = await pair(t, handlers, client)
  for (let i = 0; i < 1000; i++) connection.notify('note', i)
  connection.notify('nobody-serves-this', {})
  t.equal(await connection.request('ask-back', {}), 'worker-1')
  t.same(got, [...Array(1000).keys()])
})

t.test('a stream carries messages both ways', async (t) => {
  const handlers = new RpcHandlers()
  handlers.onStream('double', async (body, stream) => {
    t.equal(body, 'numbers')
    for await (const message of stream.messages()) await stream.send((message as number) * 2)
  })
  handlers.onStream('fail', async (_body, stream) => {
    await stream.send('first')
    throw new SwarmctlError('NOT_FOUND', 'no such task')
  })
  const { connection } = await pair(t, handlers)
  const stream = connection.openStream('double', 'numbers')
  for (let i = 0; i < 100; i++) await stream.send(i)
  stream.end()
  const got: unknown[] = []
  for await (const message of stream.messages()) got.push(message)
  await stream.closed
  t.same(
    got,
    [...Array(100).keys()].map((i) => i * 2),
  )
  await t.rejects(stream.send(1), { code: 'UNAVAILABLE' })

  const failing = connection.openStream('fail', {})
  const heard: unknown[] = []
  const read = async () => {
    for await (const message of failing.messages()) heard.push(message)
  }
  await t.rejects(read(), { code: 'NOT_FOUND', message: 'no such task' })
  t.same(heard, ['first'])
  const refused = connection.openStream('unknown', {})
  await t.rejects(refused.messages()[Symbol.asyncIterator]().next(), { code: 'UNAVAILABLE' })
})

t.test('a slow reader holds its sender back and nothing else', async (t) => {
  const handlers = new RpcHandlers()
  const mayRead = gate()
  let readBytes = 0
  handlers.onStream('slow', async (_body, stream) => {
    await mayRead.opened
    for await (const message of stream.messages()) readBytes += (message as Buffer).length
    await stream.send(readBytes)
  })
  handlers.onRequest('echo', async (body) => body)
  const { connection } = await pair(t, handlers)
  const stream = connection.openStream('slow', {})
  const message = Buffer.alloc(50_000)
  let sentBytes = 0
  let blocked = stream.send(message)
  const isFree = (): Promise<boolean> =>
    Promise.race([
      blocked.then(() => true),
      // Two round trips: time enough for any credit that was given.
      connection
        .request('echo', 1)
        .then(() => connection.request('echo', 2))
        .then(() => false),
    ])
  while (await isFree()) {
    sentBytes += message.length
    blocked = stream.send(message)
  }
  const bound = STREAM_WINDOW_BYTES + STREAM_SEND_HIGH_WATER_BYTES + message.length
  t.ok(sentBytes <= bound, `the sender was stopped after ${sentBytes} bytes`)
  t.ok(sentBytes >= STREAM_WINDOW_BYTES)
  t.equal(await connection.request('echo', 'alive'), 'alive')

  mayRead.open()
  await blocked
  await stream.send(Buffer.alloc(3_000_000))
  stream.end()
  const answers: unknown[] = []
  for await (const answer of stream.messages()) answers.push(answer)
  t.same(
    answers,
    [sentBytes + message.length + 3_000_000],
    'larger than the window, and all arrive',
  )
  await stream.closed
})

t.test('a stream is closed when its reader has everything', async (t) => {
  const handlers = new RpcHandlers()
  const ended = gate()
  handlers.onStream('say', async (_body, stream) => {
    for (let i = 0; i < 5; i++) await stream.send(i)
    stream.end()
    for await (const message of stream.messages()) t.fail(`got ${message}`)
    void stream.closed.then(ended.open)
  })
  const { connection } = await pair(t, handlers)
  const stream = connection.openStream('say', {})
  stream.end()
  let isClosed = false
  void stream.closed.then(() => {
    isClosed = true
  })
  await ended.opened
  const got: unknown[] = []
  for await (const message of stream.messages()) {
    await new Promise((resolve) => setImmediate(resolve))
    t.notOk(isClosed)
    got.push(message)
  }
  t.same(got, [0, 1, 2, 3, 4])
  await stream.closed

  const unread = connection.openStream('say', {})
  unread.abort()
  await unread.closed
})

t.test('leaving a stream early aborts it at the other side', async (t) => {
  const handlers = new RpcHandlers()
  const aborted = gate()
  handlers.onStream('endless', async (_body, stream, { signal }) => {
    signal.addEventListener('abort', aborted.open)
    for (;;) await stream.send(Buffer.alloc(10_000))
  })
  const { connection } = await pair(t, handlers)
  const stream = connection.openStream('endless', {})
  let count = 0
  for await (const _ of stream.messages()) if (++count === 3) break
  await aborted.opened
  await stream.closed
  t.equal(count, 3)
})

t.test('what was half received of streams that were left takes no room', async (t) => {
  const handlers = new RpcHandlers()
  let sent = 0
  handlers.onRequest('sent', async () => sent)
  // Nobody reads the first message; of the second the window lets half through, and then its sender may go on.
  handlers.onStream('download', async (_body, stream) => {
    await stream.send('first')
    await stream.send(Buffer.alloc(STREAM_WINDOW_BYTES + STREAM_SEND_HIGH_WATER_BYTES - 16_384))
    sent += 1
    await stream.closed
  })
  const { connection } = await pair(t, handlers)
  const count = ((5 / 4) * ASSEMBLY_BYTES_MAX) / STREAM_WINDOW_BYTES
  const atOnce = 64
  for (let opened = atOnce; opened <= count; opened += atOnce) {
    const streams = Array.from({ length: atOnce }, () => connection.openStream('download', {}))
    while ((await connection.request('sent', {})) !== opened) await nextTurn()
    for (const stream of streams) stream.abort()
  }
  t.equal(await connection.request('sent', {}), count)
})

t.test('a lost connection fails everything on it and tells why', async (t) => {
  const handlers = new RpcHandlers()
  const signals: AbortSignal[] = []
  const bothStarted = gate()
  const wait = async (signal: AbortSignal) => {
    if (signals.push(signal) === 2) bothStarted.open()
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
  handlers.onRequest('wait', (_body, { signal }) => wait(signal))
  handlers.onStream('stay', (_body, _stream, { signal }) => wait(signal))
  const { connection, rpcServer } = await pair(t, handlers)
  const closes: string[] = []
  connection.onClose((reason) => closes.push(reason))
  const request = connection.request('wait', {})
  const stream = connection.openStream('stay', {})
  await bothStarted.opened
  await Promise.all([t.rejects(request, { code: 'UNAVAILABLE' }), rpcServer.stop()])
  await stream.closed
  t.ok(signals.every(({ aborted }) => aborted))
  t.equal(closes.length, 1)
  t.notOk(connection.isOpen)
  t.notOk(connection.notify('note', 1))
  await t.rejects(connection.request('wait', {}), { code: 'UNAVAILABLE', message: /is lost: / })
  await t.rejects(connection.openStream('stay', {}).send(1), { code: 'UNAVAILABLE' })
})

t.test('handlers can be taken back while connections are open', async (t) => {
  const handlers = new RpcHandlers()
  const remove = handlers.onRequest('lead', async () => 'leader')
  const { connection } = await pair(t, handlers)
  t.equal(await connection.request('lead', {}), 'leader')
  t.throws(() => handlers.onRequest('lead', async () => 'twice'))
  remove()
  await t.rejects(connection.request('lead', {}), {
    code: 'UNAVAILABLE',
    message: 'lead is not served by this node',
  })
})

t.test('many at once', async (t) => {
  const handlers = new RpcHandlers()
  handlers.onRequest('echo', async (body) => body)
  handlers.onStream('echo-stream', async (_body, stream) => {
    for await (const message of stream.messages()) await stream.send(message)
  })
  const { connection } = await pair(t, handlers)
  const talk = async (c: RpcConnection, i: number) => {
    const stream = c.openStream('echo-stream', {})
    await stream.send(i)
    stream.end()
    const got: unknown[] = []
    for await (const message of stream.messages()) got.push(message)
    await stream.closed
    return got
  }
  const numbers = [...Array(1500).keys()]
  t.same(
    await Promise.all(numbers.map((i) => talk(connection, i))),
    numbers.map((i) => [i]),
  )
  t.same(await Promise.all(numbers.map((i) => connection.request('echo', i))), numbers)
})

t.test('a peer that falls silent is given up', async (t) => {
  const { connection, rpcServer } = await pair(t, new RpcHandlers())
  connection.close()
  const sockets: Socket[] = []
  const cable = createServer((near) => {
    const far = createConnection(rpcServer.port, '127.0.0.1')
    sockets.push(near, far)
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => cable.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    cable.close()
  })
  const { port } = cable.address() as AddressInfo
  // Twenty times as fast as the real one.
  const fast = {
    ...realClock,
    schedule: (ms: number, run: () => void) => realClock.schedule(ms / 20, run),
  }
  const silent = await connect(`127.0.0.1:${port}`, {
    log: noLog,
    clock: fast,
    handlers: new RpcHandlers(),
    credentials: workerCredentials,
  })
  const closed = new Promise((resolve) => {
    silent.onClose(resolve)
  })
  const request = silent.request('unanswered', {}, { timeoutMs: 1_000_000 })
  await t.rejects(request, { message: 'unanswered is not served by this node' })
  for (const socket of sockets) socket.unpipe().pause()
  const lost = silent.request('unanswered', {}, { timeoutMs: 1_000_000 })
  await t.rejects(lost, { code: 'UNAVAILABLE', message: /the peer was silent for 3 s/ })
  t.equal(await closed, 'the peer was silent for 3 s')
})
