import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import { newId } from '../../src/api/id.ts'
import { SwarmSpec } from '../../src/api/swarm.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import { Forwarder } from '../../src/daemon/forward.ts'
import { NodeFile } from '../../src/daemon/node-file.ts'
import { NodeKeys } from '../../src/daemon/node-keys.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { storeCredentials } from '../../src/pki/credentials-file.ts'
import { newUnlockKey } from '../../src/pki/data-key.ts'
import { eventually } from '../support/lab/eventually.ts'
import { VirtualClock } from '../support/orchestration/virtual-clock.ts'
import { noLog } from '../support/rpc/cluster-fixture.ts'

const YEAR_MS = 365 * 24 * 3_600_000

const cluster = (nowMs = Date.now()) =>
  createCluster(
    { clock: { ...systemClock, nowMs: () => nowMs }, newId },
    { spec: SwarmSpec.parse({}), addr: '127.0.0.1:2377' },
  )

/** A node that forwards all that it is asked to a leader, which answers as it is told. `sockets`: the leader's open connections. */
const forwarding = async (t: Test, leader: RequestListener, clock: Clock = systemClock) => {
  const { credentials } = await cluster()
  const { keyPem, certPem, rootCAPem, nodeId } = credentials
  const tls = { key: keyPem, cert: certPem, ca: rootCAPem, requestCert: true }
  const server = createTlsServer(tls, leader)
  const sockets = new Set<Duplex>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const forwarder = new Forwarder({ clock }, credentials)
  const target = { nodeId, addr: `127.0.0.1:${(server.address() as AddressInfo).port}` }
  const node = createServer((request, response) => {
    response.setHeader('Api-Version', '1.41')
    void forwarder.send(target, request, response)
  })
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    forwarder.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    node.closeAllConnections()
    node.close()
  })
  return { forwarder, target, credentials, sockets, port: (node.address() as AddressInfo).port }
}

t.test('a request that waits for a lost leader ends when there is another', async (t) => {
  // It takes requests and never answers: its host is gone, and TCP has not noticed.
  const asked = Promise.withResolvers<void>()
  const { forwarder, credentials, port } = await forwarding(t, () => asked.resolve())
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', path: '/x' }, resolve)
    request.on('error', reject)
    request.end('{}')
  })
  await asked.promise
  forwarder.onLeader(credentials.nodeId)
  forwarder.onLeader('another')
  const { statusCode } = await answer
  t.equal(statusCode, 503)
})

t.test('a leader is waited for while it takes what is sent, and says that it works', async (t) => {
  const clock = new VirtualClock()
  let limits = 0
  const counted: Clock = {
    nowMs: () => clock.nowMs(),
    schedule(delayMs, run) {
      limits += 1
      return clock.schedule(delayMs, run)
    },
  }
  let leader: ServerResponse | undefined
  let got = 0
  let isWhole = false
  const unpack: RequestListener = (request, response) => {
    leader = response
    request.on('data', (chunk: Buffer) => {
      got += chunk.length
    })
    request.on('end', () => {
      isWhole = true
    })
  }
  const { port } = await forwarding(t, unpack, counted)
  const upload = () => {
    const put = { host: '127.0.0.1', port, method: 'PUT', path: '/tasks/x/archive', agent: false }
    const request = httpRequest(put)
    const answer = new Promise<string>((resolve, reject) => {
      request.on('response', async (answer) => {
        let text = ''
        for await (const chunk of answer) text += chunk
        resolve(`${answer.statusCode} ${text}`)
      })
      request.on('error', reject)
    })
    return { request, answer }
  }
  /** Something that begins the limit anew, which is nearly over by then. */
  const anew = async (what: string, act: () => void) => {
    const before = limits
    act()
    await eventually(() => limits > before, { what })
    await clock.advance(29_000)
  }
  const patient = upload()
  await anew('it is sent on', () => patient.request.flushHeaders())
  for (const part of [1, 2, 3]) {
    await anew(`part ${part}`, () => patient.request.write('x'))
    await eventually(() => got === part, { what: `the leader has part ${part}` })
  }
  await anew('the end', () => patient.request.end())
  await eventually(() => isWhole, { what: 'the leader has all' })
  for (const sign of [1, 2]) await anew(`sign ${sign}`, () => leader?.writeProcessing())
  leader?.end('unpacked')
  t.equal(await patient.answer, '200 unpacked')
  const lost = upload()
  let isOver = false
  const answer = lost.answer.finally(() => {
    isOver = true
  })
  lost.request.end()
  while (!isOver) await clock.advance(2_000)
  t.match(await answer, /^503 .*silent for 30 s/, 'a leader that says nothing is dead')
})

t.test('a forwarded answer has the headers of the node that was asked', async (t) => {
  const { port } = await forwarding(t, (_, response) => {
    response.writeHead(201, { 'Api-Version': '1.51', 'Content-Type': 'application/json' })
    response.end('{}')
  })
  const { status, headers } = await fetch(`http://127.0.0.1:${port}/services`)
  t.strictSame(
    [status, headers.get('api-version'), headers.get('content-type')],
    [201, '1.41', 'application/json'],
  )
})

t.test('requests under way outlive a change of the certificate', async (t) => {
  const waiting: ServerResponse[] = []
  const { forwarder, credentials, sockets, port } = await forwarding(t, (request, response) => {
    if (request.url === '/slow') waiting.push(response)
    else response.end('quick')
  })
  const base = `http://127.0.0.1:${port}`
  t.equal(await (await fetch(`${base}/quick`)).text(), 'quick')
  const slow = fetch(`${base}/slow`)
  await eventually(() => waiting.length === 1, { what: 'the leader has the request' })
  t.equal(sockets.size, 1, 'over the connection that was kept')
  forwarder.setCredentials(credentials)
  t.equal(await (await fetch(`${base}/quick`)).text(), 'quick')
  waiting[0]!.end('slow')
  t.equal(await (await slow).text(), 'slow')
  await eventually(() => sockets.size === 1, { what: 'then its connection is closed' })
})

t.test(
  'an old client gets no chunks, and one that has gone costs the leader nothing',
  async (t) => {
    const asked: (string | undefined)[] = []
    const { forwarder, target, port } = await forwarding(t, (request, response) => {
      asked.push(request.url)
      response.write('some ')
      response.end('more')
    })
    const socket = createConnection({ host: '127.0.0.1', port })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write('GET /x HTTP/1.0\r\n\r\n')
    await once(socket, 'end')
    t.match(text, /\r\n\r\nsome more$/)
    t.notMatch(text, /transfer-encoding/i)
    const late = createServer(async (request, response) => {
      client.destroy()
      await once(response, 'close')
      await forwarder.send(target, request, response)
      await new Promise((resolve) => setTimeout(resolve, 100))
      asked.push('nobody')
    })
    await new Promise<void>((resolve) => late.listen(0, '127.0.0.1', resolve))
    t.teardown(() => void late.close())
    const client = createConnection({
      host: '127.0.0.1',
      port: (late.address() as AddressInfo).port,
    })
    client.write('GET /y HTTP/1.1\r\nHost: node\r\n\r\n')
    await eventually(() => asked.includes('nobody'), { what: 'it is over' })
    t.strictSame(asked, ['/x', 'nobody'])
  },
)

interface OnDisk {
  clusterId: string
  nodeId: string
  dataPathPort?: number
}

/** A daemon on a directory where a member's files are; it has no Engine. */
const daemonIn = async (
  t: Test,
  dir: string,
  { nodeId, clusterId, dataPathPort }: OnDisk,
  clock: Clock,
) => {
  await new NodeFile(dir).store({
    ...{ nodeId, clusterId, managers: [] },
    ...(dataPathPort !== undefined && { dataPathPort }),
    listenAddr: '127.0.0.1:0',
    advertiseAddr: '127.0.0.1:2377',
    dataPathAddr: '127.0.0.1',
  })
  const daemon = new Daemon(
    { clock, log: noLog, random: Math.random, onFatal: () => {} },
    {
      dataDir: dir,
      runDir: dir,
      socket: join(dir, 'docker.sock'),
      dockerHost: `unix://${dir}/no-engine.sock`,
      dataPlane: 'proxy',
      dataPathPort: 4789,
      logLevel: 'error',
    },
  )
  t.teardown(async () => {
    await daemon.stop()
    await rm(dir, { recursive: true })
  })
  await daemon.start()
  return daemon
}

t.test('a manager that can not resume joins nothing else, and leaves by force only', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmctl-daemon-'))
  const { credentials } = await cluster(Date.now() - YEAR_MS)
  await storeCredentials(dir, credentials)
  const daemon = await daemonIn(t, dir, credentials, systemClock)
  t.match(daemon.status(), { localNodeState: 'error', error: /expired/ })
  const socket = join(dir, 'docker.sock')
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest(
      { socketPath: socket, method: 'POST', path: '/swarm/init' },
      (a) => {
        a.resume()
        resolve(a.statusCode)
      },
    )
    request.on('error', reject)
    request.end('{}')
  })
  t.equal(status, 503, 'it is in a swarm')
  const addresses = { ListenAddr: '', AdvertiseAddr: '', DataPathAddr: '' }
  const request = { ...addresses, RemoteAddrs: [], JoinToken: '', Availability: '' }
  await t.rejects(daemon.join(request), /already part/, 'also when its route looked before')
  await t.rejects(daemon.leave(false), /--force/, 'its log may be the last copy')
})

t.test('a daemon with another port than the swarm’s takes no part, and says so', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmctl-daemon-'))
  const { credentials } = await cluster(Date.now())
  await storeCredentials(dir, credentials)
  const daemon = await daemonIn(t, dir, { ...credentials, dataPathPort: 5000 }, systemClock)
  t.strictSame(daemon.status().localNodeState, 'error')
  t.equal(
    daemon.status().error,
    "this swarm's data path port is 5000, this daemon has 4789: start it with --data-path-port 5000",
  )
  await t.rejects(daemon.leave(false), /--force/, 'it is a member all the same')
})

t.test('an unlocked manager that can not resume yet need not be unlocked again', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmctl-daemon-'))
  const { credentials } = await cluster(Date.now() - YEAR_MS)
  const key = newUnlockKey()
  const keys = await NodeKeys.create(dir, key)
  await keys.storeCredentials(credentials)
  let waits = 0
  const clock: Clock = {
    ...systemClock,
    schedule(delayMs, run) {
      waits += 1
      return systemClock.schedule(Math.min(delayMs, 20), run)
    },
  }
  const daemon = await daemonIn(t, dir, credentials, clock)
  t.equal(daemon.status().localNodeState, 'locked')
  await t.rejects(daemon.unlock(key), /expired/)
  const before = waits
  while (waits < before + 20) await new Promise((resolve) => setTimeout(resolve, 5))
  t.match(daemon.status(), { localNodeState: 'error', error: /expired/ })
})
