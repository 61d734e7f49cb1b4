/** The embedded proxy over real sockets on loopback. */
import { createSocket, type RemoteInfo } from 'node:dgram'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import t from 'tap'
import type { PublishedEndpoint, PublishedPort } from '../../src/overlay/forwarding-table.ts'
import { DatagramReader, frameDatagram } from '../../src/overlay/proxy/datagram-frames.ts'
import { Dialer } from '../../src/overlay/proxy/dialer.ts'
import { proxyHeader } from '../../src/overlay/proxy/proxy-header.ts'
import { PublishedPorts } from '../../src/overlay/proxy/published-ports.ts'
import { isTunnelTarget, serveTunnel, type Tunnel } from '../../src/overlay/proxy/tunnel.ts'
import { UdpListener } from '../../src/overlay/proxy/udp-listener.ts'

const clock = {
  nowMs: () => 0,
  schedule: (_: number, run: () => void) => {
    scheduled.push(run)
    return () => {}
  },
}
const scheduled: (() => void)[] = []
const errors: string[] = []
const quiet = () => {}
const log = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: (_: object, message: string) => void errors.push(message),
  child: () => log,
}

/** Answers each connection with its name and what was sent, once the client has ended its side. */
const namedServer = async (name: string): Promise<{ server: Server; port: number }> => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.end(`${name}:${text}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as { port: number }).port }
}

const freePort = async (): Promise<number> => {
  const { server, port } = await namedServer('')
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Sends and half-closes; the answer, or the error's code. */
const exchange = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = ''
    const socket: Socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('end', () => {
      socket.destroy()
      resolve(answer)
    })
    socket.end(text)
  })

const target = (port: number, nodeId = 'n1'): PublishedEndpoint => ({
  taskId: `task${port}`,
  nodeId,
  networkId: 'net',
  addr: '127.0.0.1',
  port,
})

const published = (
  port: number,
  endpoints: PublishedEndpoint[],
  protocol: 'tcp' | 'udp' = 'tcp',
): PublishedPort => ({ protocol, port, serviceId: 's', endpoints })

/** A tunnel whose far end is in this process. */
const localTunnel: Tunnel & { opened: number } = {
  opened: 0,
  open: async (_nodeId, wanted) => {
    localTunnel.opened++
    const [near, far] = duplexPair() as [Duplex, Duplex]
    serveTunnel(wanted, far).catch(() => {})
    return near
  },
}

/** What node n1 serves. */
const portsWith = (tunnel: Tunnel | null, onReserved: () => void = quiet): PublishedPorts =>
  new PublishedPorts({ clock, log, onReserved }, { selfId: () => 'n1', tunnel })

t.test('TCP: round robin, half-close, retry, refusal', async (t) => {
  const [a, b] = [await namedServer('a'), await namedServer('b')]
  const ports = portsWith(localTunnel)
  const dead = await freePort()
  const port = await freePort()
  await ports.set([published(port, [target(a.port), target(b.port, 'n2')])], new Set())
  const answers = []
  for (let i = 0; i < 4; i++) answers.push(await exchange(port, `x${i}`))
  t.strictSame(answers, ['a:x0', 'b:x1', 'a:x2', 'b:x3'])
  t.equal(localTunnel.opened, 2, 'only the other node is behind the tunnel')

  for (const nodeId of ['n1', 'n2']) {
    await ports.set([published(port, [target(dead, nodeId), target(b.port, 'n2')])], new Set())
    const retried = await Promise.all([exchange(port, '1'), exchange(port, '2')])
    t.strictSame(retried, ['b:1', 'b:2'], `an endpoint of ${nodeId} that refuses is passed over`)
  }
  await ports.set([published(port, [])], new Set())
  t.match(await exchange(port, ''), /^(ECONNRESET|EPIPE)$/)
  await ports.set([], new Set())
  t.equal(await exchange(port, ''), 'ECONNREFUSED', 'given back')
  ports.close()
  a.server.close()
  b.server.close()
})

t.test('who leaves rotation gets nothing new once that is confirmed', async (t) => {
  const [a, b] = [await namedServer('a'), await namedServer('b')]
  const port = await freePort()
  const attempts: { port: number; refuse: () => void; accept: () => void }[] = []
  let onAttempt = quiet
  const ports = portsWith({
    open: (_nodeId, wanted) =>
      new Promise((resolve, reject) => {
        const accept = () => void localTunnel.open('n2', wanted).then(resolve)
        attempts.push({ port: wanted.port, refuse: () => reject(new Error('refused')), accept })
        onAttempt()
      }),
  })
  const attempt = async (run: () => void) => {
    const begun = new Promise<void>((resolve) => {
      onAttempt = resolve
    })
    run()
    await begun
    return attempts.at(-1)
  }
  const isSettled = (settled: Promise<void>): Promise<boolean> =>
    Promise.race([
      settled.then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, 20, false)),
    ])
  const remote = ({ port }: { port: number }) => target(port, 'n2')
  const neverAsked = await freePort()

  await ports.set([published(port, [remote(a), target(neverAsked, 'n2')])], new Set())
  let answer: Promise<string> | undefined
  const first = await attempt(() => {
    answer = exchange(port, '1')
  })
  t.equal(first?.port, a.port)
  t.ok(await isSettled(ports.settled()), 'what stays in rotation is not waited for')
  await ports.set([published(port, [remote(b)])], new Set())
  const settled = ports.settled()
  t.notOk(await isSettled(settled), 'an attempt is on its way to one that left')
  const second = await attempt(() => first?.refuse())
  t.equal(second?.port, b.port, 'the next one is of those in rotation now')
  t.ok(await isSettled(settled))
  second?.accept()
  t.equal(await answer, 'b:1')
  t.equal(attempts.length, 2)

  const third = await attempt(() => {
    answer = exchange(port, '2')
  })
  await ports.set([], new Set())
  const given = ports.settled()
  t.notOk(await isSettled(given), 'nor is one that a removed port has begun forgotten')
  third?.accept()
  await given
  t.equal(await answer, 'b:2', 'it is a connection like others')
  ports.close()
  a.server.close()
  b.server.close()
})

t.test('connections to an address that died are ended', async (t) => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = await freePort()
  const ports = portsWith(null)
  const wanted = [published(port, [target((server.address() as { port: number }).port)])]
  await ports.set(wanted, new Set())
  const socket = connect(port, '127.0.0.1')
  const closed = new Promise((resolve) => socket.on('close', resolve))
  let code: string | undefined
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code
  })
  const reached = new Promise((resolve) => server.on('connection', resolve))
  socket.write('x')
  await reached
  // The proxy learns of its own connection a moment after the endpoint does.
  await new Promise((resolve) => setTimeout(resolve, 20))
  await ports.set(wanted, new Set(['127.0.0.1']))
  await closed
  t.equal(code, 'ECONNRESET')
  ports.close()
  server.close()
})

t.test('what an endpoint breaks off is no complete answer for its client', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', quiet)
    socket.on('data', (data) => {
      socket.write('half of it')
      setTimeout(() => {
        if (String(data) === 'all') socket.end()
        else socket.resetAndDestroy()
      }, 20)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const behind = (server.address() as { port: number }).port
  const port = await freePort()
  const ports = portsWith(localTunnel)
  const ask = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port })
      let answer = ''
      socket.on('data', (data) => {
        answer += data
      })
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(`${answer} ${error.code}`))
      socket.on('end', () => resolve(`${answer} end`))
      socket.write(text)
    })
  for (const nodeId of ['n1', 'n2']) {
    await ports.set([published(port, [target(behind, nodeId)])], new Set())
    t.equal(await ask('all'), 'half of it end', nodeId)
    t.equal(await ask('break'), 'half of it ECONNRESET', nodeId)
  }
  ports.close()
  server.close()
})

t.test('a port in use is named once, tried again and then taken', async (t) => {
  const { server, port } = await namedServer('other')
  let reserved = 0
  const ports = portsWith(null, () => void reserved++)
  const wanted = published(port, [])
  // The holder has 127.0.0.1 alone: for a listener on all addresses that is in use as well.
  await ports.set([wanted], new Set())
  t.equal(ports.isReserved(wanted), false)
  t.match(ports.problems(), [new RegExp(`published port tcp/${port} is in use by another process`)])
  scheduled.pop()?.()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(errors.length, 1, 'said once')
  await new Promise((resolve) => server.close(resolve))
  scheduled.pop()?.()
  while (reserved === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(ports.isReserved(wanted), true)
  t.strictSame(ports.problems(), [])
  ports.close()
})

t.test(
  'a port of one address is served there alone, and nowhere where no node has it',
  async (t) => {
    const { server, port: behind } = await namedServer('one')
    t.teardown(() => void server.close())
    const port = await freePort()
    const ports = portsWith(localTunnel)
    t.teardown(() => ports.close())
    const at = (hostIp: string): PublishedPort => ({ ...published(port, [target(behind)]), hostIp })
    await ports.set([at('127.0.0.2')], new Set())
    t.equal(await exchange(port, 'x'), 'ECONNREFUSED', '127.0.0.1 is another address')
    await ports.set([at('127.0.0.1')], new Set())
    t.equal(await exchange(port, 'x'), 'one:x', 'a changed address is followed')
    await ports.set([at('192.0.2.1')], new Set())
    t.equal(await exchange(port, 'x'), 'ECONNREFUSED')
    t.strictSame(ports.problems(), [], 'another node may have it')
  },
)

t.test('PROXY protocol: a backend is told who connects, first and once', async (t) => {
  const header = (family: number, addresses: number[], ports: number[]) => [
    ...[0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, family],
    ...[0, addresses.length + 4, ...addresses, ...ports],
  ]
  const ends = { remotePort: 0x1234, localPort: 80 }
  const cases: [remote: string, local: string, family: number, addresses: number[]][] = [
    ['::ffff:203.0.113.9', '::ffff:192.0.2.1', 0x11, [203, 0, 113, 9, 192, 0, 2, 1]],
    ['10.0.0.255', '10.0.0.1', 0x11, [10, 0, 0, 255, 10, 0, 0, 1]],
    [
      'fe80::1:2%eth0',
      '2001:db8:0:0:0:0:0:1',
      0x21,
      [
        ...[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2],
        ...[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      ],
    ],
    ['::1', '::1', 0x21, [...Array(15).fill(0), 1, ...Array(15).fill(0), 1]],
  ]
  for (const [remoteAddress, localAddress, family, addresses] of cases)
    t.strictSame(
      [...proxyHeader({ remoteAddress, localAddress, ...ends })],
      header(family, addresses, [0x12, 0x34, 0, 80]),
      remoteAddress,
    )

  const received: Buffer[] = []
  const backend = createServer((socket) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => {
      received.push(Buffer.concat(chunks))
      socket.end('seen')
    })
  })
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve))
  t.teardown(() => backend.close())
  const behind = (backend.address() as { port: number }).port
  const port = await freePort()
  const ports = portsWith(localTunnel)
  t.teardown(() => ports.close())
  // Directly, and through the tunnel of another node.
  for (const nodeId of ['n1', 'n2']) {
    const plain = published(port, [target(behind, nodeId)])
    await ports.set([{ ...plain, sendsProxyHeader: true }], new Set())
    t.equal(await exchange(port, 'hello'), 'seen')
    const told = received.pop()
    t.strictSame(
      [...told!.subarray(0, 24)],
      header(0x11, [127, 0, 0, 1, 127, 0, 0, 1], []).slice(0, 24),
      nodeId,
    )
    t.equal(told!.readUInt16BE(26), port, 'the port that it asked for')
    t.equal(String(told!.subarray(28)), 'hello')
    await ports.set([plain], new Set())
    t.equal(await exchange(port, 'hello'), 'seen')
    t.equal(String(received.pop()), 'hello', 'without, from now on')
  }
})

t.test('UDP: a session per client, directly and through the tunnel', async (t) => {
  const echo = createSocket('udp4')
  echo.on('message', (datagram, from) => echo.send(`echo ${datagram}`, from.port, from.address))
  await new Promise<void>((resolve) => echo.bind(0, '127.0.0.1', resolve))
  for (const nodeId of ['n1', 'n2']) {
    const port = await freePort()
    const ports = portsWith(localTunnel)
    await ports.set([published(port, [target(echo.address().port, nodeId)], 'udp')], new Set())
    const client = createSocket('udp4')
    const answers: string[] = []
    const both = new Promise<void>((resolve) => {
      client.on('message', (datagram) => {
        if (answers.push(datagram.toString()) === 2) resolve()
      })
    })
    client.send('1', port, '127.0.0.1')
    client.send('2', port, '127.0.0.1')
    await both
    t.strictSame(answers, ['echo 1', 'echo 2'], nodeId)
    client.close()
    ports.close()
  }
  echo.close()
})

t.test('UDP: of too many clients the one that was silent longest makes room', async (t) => {
  const echo = createSocket('udp4')
  const sources = new Map<string, RemoteInfo>()
  echo.on('message', (datagram, from) => {
    sources.set(String(datagram), from)
    echo.send(datagram, from.port, from.address)
  })
  await new Promise<void>((resolve) => echo.bind(0, '127.0.0.1', resolve))
  const dialer = new Dialer({ selfId: () => 'n1', tunnel: null })
  const listener = new UdpListener({ dialer }, { isIpv6: false, sessionsMax: 2 })
  const port = await freePort()
  await listener.listen(port, '127.0.0.1')
  listener.set({ endpoints: [target(echo.address().port)] })
  const clients = { a: createSocket('udp4'), b: createSocket('udp4'), c: createSocket('udp4') }
  const answer = (name: keyof typeof clients) =>
    new Promise((resolve) => clients[name].once('message', resolve))
  const ask = async (name: keyof typeof clients) => {
    const answered = answer(name)
    clients[name].send(name, port, '127.0.0.1')
    await answered
    return sources.get(name)!.port
  }
  const first = await ask('a')
  const second = await ask('b')
  // The server has more to say to the first, who is silent: it is in use.
  const told = answer('a')
  echo.send('more', first, '127.0.0.1')
  await told
  await ask('c')
  t.equal(await ask('a'), first, 'its session goes on')
  t.not(await ask('b'), second, 'a new one')
  for (const one of [...Object.values(clients), echo]) one.close()
  listener.close()
})

t.test(
  'UDP: an opening that fails late does not end the session that its client has by then',
  async (t) => {
    const answers = new Map<string, () => void>()
    const opened: { addr: string; fail: () => void; succeed: () => void }[] = []
    let onOpen = quiet
    const tunnel: Tunnel = {
      open: (_nodeId, { addr }) =>
        new Promise((resolve, reject) => {
          const succeed = () => {
            const [near, far] = duplexPair() as [Duplex, Duplex]
            const reader = new DatagramReader()
            far.on('data', (chunk: Buffer) => {
              for (const one of reader.read(chunk)) answers.get(String(one))?.()
            })
            resolve(near)
          }
          opened.push({ addr, fail: () => reject(new Error('late')), succeed })
          onOpen()
        }),
    }
    const dialer = new Dialer({ selfId: () => 'n1', tunnel })
    const listener = new UdpListener({ dialer }, { isIpv6: false })
    const port = await freePort()
    await listener.listen(port, '127.0.0.1')
    const client = createSocket('udp4')
    t.teardown(() => {
      listener.close()
      client.close()
    })
    const send = (text: string) => client.send(text, port, '127.0.0.1')
    const openingAt = async (addr: string) => {
      listener.set({ endpoints: [{ ...target(80, 'n2'), addr }] })
      const begun = new Promise<void>((resolve) => {
        onOpen = resolve
      })
      send('first')
      await begun
    }
    await openingAt('10.0.0.1')
    await openingAt('10.0.0.2')
    opened[0]!.fail()
    // Whoever hears of the failure has heard of it.
    await new Promise((resolve) => setImmediate(resolve))
    opened[1]!.succeed()
    const answered = new Promise<void>((resolve) => answers.set('second', resolve))
    const reopened = new Promise<void>((resolve) => {
      onOpen = resolve
    })
    send('second')
    await Promise.race([answered, reopened])
    t.strictSame(
      opened.map(({ addr }) => addr),
      ['10.0.0.1', '10.0.0.2'],
      'the second session goes on',
    )
  },
)

t.test('datagrams in a byte stream', async (t) => {
  const datagrams = ['', 'a', 'x'.repeat(3000)].map((text) => Buffer.from(text))
  const bytes = Buffer.concat(datagrams.map(frameDatagram))
  for (const size of [1, 2, 7, bytes.length]) {
    const reader = new DatagramReader()
    const read: string[] = []
    for (let at = 0; at < bytes.length; at += size) {
      for (const one of reader.read(bytes.subarray(at, at + size))) read.push(one.toString())
    }
    t.strictSame(
      read,
      datagrams.map((one) => one.toString()),
      `in pieces of ${size}`,
    )
  }
})

t.test('what a peer may ask for', async (t) => {
  const good = { networkId: 'n', addr: '10.1.1.1', port: 80, protocol: 'tcp' }
  t.ok(isTunnelTarget(good))
  for (const bad of [
    null,
    'x',
    {},
    { ...good, addr: 'example.com' },
    { ...good, port: 0 },
    { ...good, port: 70_000 },
    { ...good, protocol: 'icmp' },
  ]) {
    t.notOk(isTunnelTarget(bad))
  }
})
