import { type IncomingMessage, request } from 'node:http'
import { createConnection } from 'node:net'
import t from 'tap'
import type { LogMessage } from '../../src/api/assignment.ts'
import { SwarmctlError, unavailable } from '../../src/api/errors.ts'
import { sinceAfter } from '../../src/http/logs.ts'
import { type ApiNode, startNode, until } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleService, sampleTask } from '../support/objects.ts'

const line = (text: string, stream: LogMessage['stream'] = 'stdout'): LogMessage => ({
  timestamp: '2026-01-02T03:04:05.000000006Z',
  stream,
  data: Buffer.from(text),
})

const DETAILS = (task: string) =>
  `com.docker.swarm.node.id=${NODE_ID},com.docker.swarm.service.id=web1,com.docker.swarm.task.id=${task}`

/** Frames as `1 text`; what is not framed fails. */
const frames = (bytes: Buffer): string[] => {
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    found.push(`${bytes[at]} ${bytes.subarray(at + 8, at + 8 + length)}`)
    at += 8 + length
  }
  return found
}

const bytesOf = async (answer: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const addTask = (node: ApiNode, id: string, slot: number) =>
  node.swarm.store.update((tx) => {
    tx.put(
      'task',
      sampleTask(id, 'web1', {
        Slot: slot,
        NodeID: NODE_ID,
        Status: {
          Timestamp: '2026-01-02T03:04:05Z',
          State: 'running',
          Message: '',
          ContainerStatus: { ContainerID: 'c1', PID: 1, ExitCode: 0 },
        },
      }),
    )
  })

const addService = (node: ApiNode, tty = false) =>
  node.swarm.store.update((tx) => {
    const service = sampleService('web1', 'web')
    service.Spec.TaskTemplate.ContainerSpec!.TTY = tty
    tx.put('service', service)
  })

t.test('logs come as frames of one line each, with what was asked for', async (t) => {
  const node = await startNode(t)
  await addService(node)
  await addTask(node, 'task1', 1)
  node.swarm.logs.set('task1', [line('one\n'), line('two\n', 'stderr')])
  const get = async (path: string) => {
    const answer = await node.open('GET', path)
    return { type: answer.headers['content-type'], lines: frames(await bytesOf(answer)) }
  }
  const both = await get('/services/web/logs?stdout=1&stderr=1')
  t.equal(both.type, 'application/vnd.docker.multiplexed-stream')
  t.same(both.lines, ['1 one\n', '2 two\n'])
  t.same((await get('/services/web/logs?stdout=true&tail=5')).lines, ['1 one\n'])
  const old = await get('/v1.41/services/web/logs?stderr=1&details=1')
  t.equal(old.type, 'application/vnd.docker.raw-stream', 'as older clients know it')
  t.same(old.lines, [`2 ${DETAILS('task1')} two\n`])
  const added = 'tag=x%2Cy,app=1,com.docker.swarm.task.id=other'
  node.swarm.logs.set('task2', [{ ...line('three\n'), details: added }])
  await addTask(node, 'task2', 2)
  t.same((await get('/tasks/task2/logs?stdout=1&details=1')).lines, [
    `1 app=1,${DETAILS('task2')},tag=x%2Cy three\n`,
  ])
  t.same((await get('/tasks/task2/logs?stdout=1')).lines, ['1 three\n'])
  const all = await get('/tasks/task1/logs?stdout=1&details=1&timestamps=1')
  t.same(all.lines, [`1 2026-01-02T03:04:05.000000006Z ${DETAILS('task1')} one\n`])
})

t.test('a log that is not whole says so after all that there is', async (t) => {
  const node = await startNode(t)
  await addService(node)
  await addTask(node, 'task1', 1)
  await addTask(node, 'task2', 2)
  node.swarm.logs.set('task1', [new Error('node is gone')])
  node.swarm.logs.set('task2', [line('one\n'), line('two\n')])
  const answer = await node.open('GET', '/services/web/logs?stdout=1')
  t.same(frames(await bytesOf(answer)), [
    '1 one\n',
    '1 two\n',
    '3 incomplete log stream. some logs could not be retrieved for the following reasons: task task1: node is gone\n',
  ])
})

t.test('a terminal’s log is raw', async (t) => {
  const node = await startNode(t)
  await addService(node, true)
  await addTask(node, 'task1', 1)
  node.swarm.logs.set('task1', [line('\u001b[1mone\r\n')])
  const answer = await node.open('GET', '/services/web/logs?stdout=1')
  t.equal(answer.headers['content-type'], 'application/vnd.docker.raw-stream')
  t.equal(String(await bytesOf(answer)), '\u001b[1mone\r\n')
})

t.test('following goes on with tasks that come later', async (t) => {
  const node = await startNode(t)
  await addService(node)
  node.swarm.logs.set('task1', [line('first\n')])
  node.swarm.logs.set('task2', [line('second\n')])
  await addTask(node, 'task1', 1)
  const answer = await node.open('GET', '/services/web/logs?stdout=1&follow=1')
  let bytes = Buffer.alloc(0)
  answer.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  await until(() => frames(bytes).length === 1)
  await addTask(node, 'task2', 2)
  await until(() => frames(bytes).length === 2)
  t.same(frames(bytes), ['1 first\n', '1 second\n'])
  node.swarm.logs.set('task3', [new Error('node is gone')])
  await addTask(node, 'task3', 3)
  await new Promise((resolve) => answer.once('end', resolve))
  t.match(frames(bytes).at(-1), /^3 incomplete log stream.*task3: node is gone/)
})

t.test('a node that is away ends nobody’s following of the others', async (t) => {
  const node = await startNode(t)
  await addService(node)
  node.swarm.logs.set('task1', [line('one\n'), unavailable('node n1 is not available')])
  node.swarm.logs.set('task2', [line('two\n')])
  node.swarm.logs.set('task3', [unavailable('node n1 is not available')])
  for (const [id, slot] of [
    ['task1', 1],
    ['task2', 2],
    ['task3', 3],
  ] as const)
    await addTask(node, id, slot)
  const answer = await node.open('GET', '/services/web/logs?stdout=1&follow=1&tail=5')
  let bytes = Buffer.alloc(0)
  answer.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  await until(() => frames(bytes).length === 2)
  t.strictSame(frames(bytes).sort(), ['1 one\n', '1 two\n'])
  node.swarm.logs.set('task1', [line('back\n')])
  node.swarm.logs.set('task3', [new SwarmctlError('NOT_FOUND', 'task task3 not found')])
  await until(() => frames(bytes).length === 3)
  t.equal(frames(bytes).at(-1), '1 back\n')
  const asked = (id: string) => node.swarm.logRequests.filter(({ taskId }) => taskId === id)
  t.match(asked('task1').at(-1), { since: '1767323045.000000007', tail: 'all' }, 'only what is new')
  t.match(asked('task3').at(-1), { since: '', tail: '5' })

  // Of one that does not lead any more no log goes on.
  node.swarm.leader = { kind: 'forward', nodeId: 'm2' }
  node.swarm.logs.set('task4', [unavailable('the connection is lost')])
  await addTask(node, 'task4', 4)
  await new Promise((resolve) => answer.once('end', resolve))
  t.match(frames(bytes).at(-1), /^3 incomplete log stream.*task4: the connection is lost/)
  t.equal(sinceAfter('2026-01-02T03:04:05.999999999Z'), '1767323046.000000000')
  t.equal(sinceAfter('2026-01-02T03:04:05Z'), '1767323045.000000001')
})

t.test('a slow reader of many logs is nothing to warn of', async (t) => {
  const node = await startNode(t)
  await addService(node)
  const warnings: string[] = []
  const note = ({ message }: Error) => void warnings.push(message)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  for (let slot = 1; slot <= 20; slot += 1) {
    node.swarm.logs.set(`task${slot}`, [line('x'.repeat(2 ** 20)), line('end')])
    await addTask(node, `task${slot}`, slot)
  }
  const answer = await node.open('GET', '/services/web/logs?stdout=1')
  await until(() => node.swarm.logRequests.length === 20)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(frames(await bytesOf(answer)).length, 40)
  t.strictSame(warnings, [])
})

t.test('events: the swarm’s come between whole lines of the Engine’s', async (t) => {
  const node = await startNode(t)
  const answer = await node.open('GET', '/v1.41/events')
  let text = ''
  answer.on('data', (chunk) => {
    text += chunk
  })
  await until(() => node.engine.eventReaders === 1)
  node.engine.emit('{"Type":"container","Action":"start"}\n{"Type":"con')
  await until(() => text !== '')
  await addService(node)
  await node.swarm.store.update((tx) => {
    const service = structuredClone(tx.get('service', 'web1')!)
    service.Spec.TaskTemplate.ContainerSpec!.Image = 'nginx:2'
    tx.put('service', { ...service, UpdateStatus: { State: 'updating' } })
  })
  await addTask(node, 'task1', 1)
  await node.swarm.store.update((tx) => {
    const other = tx.get('node', NODE_ID)!
    tx.put('node', { ...other, Spec: { ...other.Spec, Availability: 'drain' } })
  })
  await node.swarm.store.update((tx) => tx.remove('service', 'web1'))
  node.engine.emit('tainer","Action":"die"}\n')
  await until(() => text.includes('die'))
  const events = text
    .trim()
    .split('\n')
    .map((one) => JSON.parse(one))
  t.match(events, [
    { Type: 'container', Action: 'start' },
    { Type: 'service', Action: 'create', scope: 'swarm', Actor: { ID: 'web1' } },
    {
      Type: 'service',
      Action: 'update',
      Actor: {
        Attributes: {
          name: 'web',
          'image.old': 'nginx',
          'image.new': 'nginx:2',
          'updatestate.new': 'updating',
        },
      },
    },
    {
      Type: 'node',
      Action: 'update',
      Actor: { Attributes: { 'availability.old': 'active', 'availability.new': 'drain' } },
    },
    { Type: 'service', Action: 'remove', Actor: { Attributes: { name: 'web' } } },
    { Type: 'container', Action: 'die' },
  ])
  t.equal(events.length, 6, 'tasks make none')
  answer.destroy()
  await until(() => node.engine.eventReaders === 0)
})

t.test('events of the past: as many as the Engine keeps, within what is asked for', async (t) => {
  const node = await startNode(t)
  const read = async (query: string, count: number) => {
    const answer = await node.open('GET', `/events?${query}`)
    let text = ''
    answer.on('data', (chunk: Buffer) => {
      text += chunk
    })
    await until(() => text.split('\n').length > count)
    answer.destroy()
    const lines = text.trim().split('\n')
    return lines.map((line) => JSON.parse(line).Actor.Attributes.name)
  }
  await node.call('GET', '/services')
  const create = (Name: string) =>
    node.call('POST', '/secrets/create', { body: { Name, Data: 'eA==' } })
  await create('first')
  t.strictSame(await read('since=0', 1), ['first'])
  t.strictSame(await read(`since=${new Date(0).toISOString()}`, 1), ['first'])
  const filters = encodeURIComponent('{"type":{"config":true}}')
  const reading = node.open('GET', `/events?since=0&filters=${filters}`)
  const ended = node.call('GET', '/events?since=0&until=1')
  await until(() => node.engine.eventReaders >= 2)
  node.engine.endEvents()
  t.equal((await ended).body, '', 'all are later')
  let filtered = ''
  for await (const chunk of await reading) filtered += chunk
  t.equal(filtered, '')
  for (let i = 0; i < 300; i += 1) await create(`s${i}`)
  const names = await read('since=0', 256)
  t.strictSame([names.length, names[0], names.at(-1)], [256, 's44', 's299'])
  node.swarm.state.role = 'worker'
  await node.call('GET', '/_ping')
  node.swarm.state.role = 'manager'
  await node.call('GET', '/_ping')
  await create('after')
  t.strictSame(await read('since=0', 1), ['after'], 'a new membership begins anew')
  node.swarm.beginAnew()
  await create('later')
  t.strictSame(await read('since=0', 2), ['after', 'later'], 'the same node with another state')
})

t.test('past events are in the order of their time, whosever they are', async (t) => {
  const node = await startNode(t)
  await node.call('GET', '/services')
  const before = (Date.now() - 60_000) * 1_000_000
  for (const Name of ['one', 'two']) {
    await node.call('POST', '/secrets/create', { body: { Name, Data: 'eA==' } })
  }
  const answer = await node.open('GET', '/events?since=0')
  const after = (Date.now() + 60_000) * 1_000_000
  const ofEngine = (name: string, timeNano: number) =>
    `${JSON.stringify({ Type: 'container', Actor: { Attributes: { name } }, timeNano })}\n`
  node.engine.emit(ofEngine('old', before) + ofEngine('new', after))
  node.engine.endEvents()
  let text = ''
  for await (const chunk of answer) text += chunk
  const names = text.match(/(?<="name":")[^"]+/g)
  t.strictSame(names, ['old', 'one', 'two', 'new'])
})

t.test('open streams end with the state that they tell of', async (t) => {
  const node = await startNode(t)
  await addService(node)
  const events = await node.open('GET', '/events')
  const logs = await node.open('GET', '/services/web1/logs?stdout=1&follow=1')
  await until(() => node.engine.eventReaders === 1)
  node.swarm.beginAnew()
  t.equal(String(await bytesOf(events)), '')
  t.match(frames(await bytesOf(logs)), [/^3 incomplete log stream.*no manager any more/])
  await until(() => node.engine.eventReaders === 0)
})

t.test('events of a node that becomes a manager while somebody reads', async (t) => {
  const node = await startNode(t)
  node.swarm.state.role = 'worker'
  const answer = await node.open('GET', '/events?filters={"type":["secret"]}')
  await until(() => node.engine.eventReaders === 1)
  const create = (Name: string) => node.swarm.control().createSecret({ Name, Data: 'eA==' })
  await create('before')
  node.swarm.state.role = 'manager'
  let text = ''
  answer.on('data', (chunk: Buffer) => {
    text += chunk
  })
  // When the reader is served nobody can tell: one of them comes.
  for (let count = 1; text === ''; count += 1) {
    await create(`after${count}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.match(JSON.parse(text.split('\n')[0]!), {
    Type: 'secret',
    Action: 'create',
    Actor: { Attributes: { name: /^after/ } },
  })
  answer.destroy()
  await until(() => node.engine.eventReaders === 0)
})

t.test('events can be filtered, and the Engine’s refusal is passed on', async (t) => {
  const node = await startNode(t)
  const texts = ['{"type":["secret"]}', '{"event":["update"]}', '{"container":["x"]}'].map(
    async (filters, at) => {
      const answer = await node.open('GET', `/events?filters=${encodeURIComponent(filters)}`)
      const got: string[] = []
      answer.on('data', (chunk) => got.push(...String(chunk).trim().split('\n')))
      await until(() => node.engine.eventReaders > at)
      return got
    },
  )
  const [secrets, updates, containers] = await Promise.all(texts)
  await addService(node)
  await node.call('POST', '/secrets/create', { body: { Name: 's', Data: 'eA==' } })
  await node.swarm.store.update((tx) => {
    tx.put('service', { ...tx.get('service', 'web1')!, UpdateStatus: { State: 'completed' } })
  })
  node.engine.emit('{"last":1}\n')
  await until(() => [secrets, updates, containers].every((got) => got!.at(-1) === '{"last":1}'))
  const kinds = (got: string[] | undefined) =>
    got!.slice(0, -1).map((one) => `${JSON.parse(one).Type} ${JSON.parse(one).Action}`)
  t.same(
    [kinds(secrets), kinds(updates), kinds(containers)],
    [['secret create'], ['service update'], []],
  )
  t.equal((await node.call('GET', '/events?bad-filter=1')).status, 400)
})

t.test('everything else goes to the Engine, both bodies streamed', async (t) => {
  const node = await startNode(t)
  const path = '/v1.41/build?t=x'
  const upload = request({
    socketPath: node.socketPath,
    method: 'POST',
    path,
    headers: { 'X-Registry-Config': 'x'.repeat(100_000) },
  })
  upload.flushHeaders()
  const answer = await new Promise<IncomingMessage>((resolve) => upload.on('response', resolve))
  let text = ''
  answer.on('data', (chunk) => {
    text += chunk
  })
  upload.write('a')
  await until(() => text === 'got a')
  upload.write('b')
  await until(() => text === 'got agot b')
  upload.end()
  await until(() => text === 'got agot bbuilt')
  const missing = await node.call('GET', '/v1.41/images/none/json?x=1')
  t.same(
    [missing.status, missing.body.message],
    [404, 'no such thing on the engine: /images/none/json'],
  )
  t.equal(node.engine.requests('GET', '/v1.41/images/none/json?x=1').length, 1, 'as it came')
  t.notOk(missing.headers.server, 'the Engine’s own head')
})

t.test(
  'a hijacked connection passes both ways, and each side may end its half first',
  async (t) => {
    const node = await startNode(t)
    const attach = () => {
      const socket = createConnection({ path: node.socketPath, allowHalfOpen: true })
      socket.write(
        'POST /v1.41/containers/x/attach?stream=1 HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n',
      )
      const state = { text: '', ended: false }
      socket.on('data', (chunk) => {
        state.text += chunk
      })
      socket.on('end', () => {
        state.ended = true
      })
      return { socket, state }
    }
    const { socket, state } = attach()
    await until(() => state.text.includes('\r\n\r\n'))
    t.match(state.text, /^HTTP\/1.1 101 UPGRADED\r\n.*raw-stream/s)
    socket.write('hello ')
    await until(() => state.text.endsWith('HELLO '))
    socket.end('bye ')
    await until(() => state.ended)
    t.match(state.text, /HELLO BYE half-closed\n$/, 'what came after the half-close arrived')
    socket.destroy()
    node.engine.isDown = true
    const refused = attach()
    await until(() => refused.state.ended)
    t.match(refused.state.text, /^HTTP\/1.1 503 .*does not answer/s)
    refused.socket.destroy()
  },
)

t.test('a request that offers another protocol is answered where it belongs', async (t) => {
  const node = await startNode(t)
  await addService(node)
  const ask = (path: string, upgrade: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = createConnection({ path: node.socketPath })
      t.teardown(() => socket.destroy())
      socket.on('error', reject)
      socket.once('data', (bytes) => resolve(String(bytes)))
      const offer = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABk`
      socket.write(`GET ${path} HTTP/1.1\r\nHost: docker\r\n${offer}\r\n\r\n`)
    })
  t.match(await ask('/v1.41/services', 'h2c'), /^HTTP\/1.1 200 OK[\s\S]*"web"/)
  const seen = node.engine.seen.length
  t.match(await ask('/services?x=1', 'h2c'), /^HTTP\/1.1 200 OK/)
  t.equal(node.engine.seen.length, seen, 'the Engine hears nothing of it')
})
