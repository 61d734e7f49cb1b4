import { Agent, createServer as createHttpServer, request } from 'node:http'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import t from 'tap'
import { passHalfClose } from '../../src/http/half-close.ts'
import { ApiNode, startNode, until } from '../support/http/api-node.ts'
import { sampleService } from '../support/objects.ts'

// What passes between a client and the Engine, byte by byte: an Engine here is a function of a connection.

const nodeWithEngine = async (
  t: Parameters<typeof startNode>[0],
  serve: (socket: Socket) => void,
) => {
  const node = await startNode(t)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    serve(socket)
  })
  const socketPath = `${node.socketPath}.engine`
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  node.engine.address = () => ({ socketPath })
  return { node, sockets }
}

/** What comes back over one connection, until it ends. */
const talk = (socketPath: string, text: string) => {
  const socket = createConnection({ path: socketPath, allowHalfOpen: true })
  const state = { text: '', isEnded: false, error: '' }
  socket.on('data', (chunk) => {
    state.text += chunk
  })
  socket.on('end', () => {
    state.isEnded = true
  })
  socket.on('error', (error) => {
    state.error = error.message
  })
  socket.write(text)
  return { socket, state }
}

t.test('an upload that the Engine refuses before it has come is answered as it says', async (t) => {
  const refusal = '{"message":"no such container"}\n'
  // As Go's server: the answer, its half closed, and all of it half a second later.
  const { node } = await nodeWithEngine(t, (socket) => {
    socket.once('data', () => {
      socket.pause()
      const head = `HTTP/1.1 404 Not Found\r\nContent-Length: ${refusal.length}\r\nConnection: close`
      socket.end(`${head}\r\n\r\n${refusal}`)
      setTimeout(() => socket.destroy(), 300)
    })
  })
  const { socket, state } = talk(node.socketPath, '')
  const upload = async () => {
    const chunk = Buffer.concat([
      Buffer.from('10000\r\n'),
      Buffer.alloc(65_536),
      Buffer.from('\r\n'),
    ])
    socket.write(
      'PUT /containers/x/archive HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    for (let count = 0; count < 200 && state.error === ''; count++) {
      await new Promise((resolve) => socket.write(chunk, resolve))
    }
    socket.write('0\r\n\r\n')
  }
  await upload()
  await until(() => state.text.endsWith(refusal) || state.error !== '')
  t.match(state.text, /^HTTP\/1.1 404 Not Found\r\n/)
  state.text = ''
  await upload()
  await until(() => state.text.endsWith(refusal) || state.error !== '')
  t.match(state.text, /^HTTP\/1.1 404 Not Found\r\n/, 'over the same connection')
  t.equal(state.error, '')
  socket.destroy()
})

t.test('the Engine does not get a connection that it did not hijack', async (t) => {
  const seen: string[] = []
  // A keep-alive server, which closes when it is asked to.
  const { node } = await nodeWithEngine(t, (socket) => {
    socket.on('data', (chunk) => {
      seen.push(String(chunk))
      const isLast = /^connection: .*\bclose\b/im.test(String(chunk))
      const last = isLast ? 'Connection: close\r\n' : ''
      socket.write(`HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n${last}\r\nno`)
      if (isLast) socket.end()
    })
  })
  await node.swarm.store.update((tx) => tx.put('service', sampleService('web1', 'web')))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ask = (method: string, path: string, headers = {}) =>
    new Promise<string>((resolve, reject) => {
      const options = { socketPath: node.socketPath, method, path, agent, headers }
      const client = request(options, async (answer) => {
        let text = ''
        for await (const chunk of answer) text += chunk
        resolve(text)
      })
      client.on('error', reject)
      client.end()
    })
  const hijack = { Connection: 'Upgrade', Upgrade: 'tcp' }
  t.equal(await ask('POST', '/v1.41/containers/none/attach?stream=1', hijack), 'no')
  t.match(await ask('GET', '/v1.41/services'), /"web"/)
  t.equal(seen.length, 1)
})

t.test('an answer is of the HTTP version that the client speaks', async (t) => {
  const { node } = await nodeWithEngine(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-It: 1\r\n\r\n')
      socket.write('3\r\nhi\n\r\n0\r\n\r\n')
    })
  })
  for (const path of ['/images/json', '/events']) {
    const old = talk(node.socketPath, `GET ${path} HTTP/1.0\r\n\r\n`)
    await until(() => old.state.isEnded)
    t.match(old.state.text, /x-it: 1/i)
    t.notMatch(old.state.text, /transfer-encoding/i)
    t.match(old.state.text, /\r\n\r\nhi\n$/)
    old.socket.destroy()
  }
  const now = talk(node.socketPath, 'GET /images/json HTTP/1.1\r\nHost: docker\r\n\r\n')
  await until(() => now.state.text.endsWith('3\r\nhi\n\r\n0\r\n\r\n'))
  t.match(now.state.text, /transfer-encoding: chunked/i)
  t.notMatch(
    now.state.text,
    /^connection: close|^keep-alive/im,
    'kept for as long as the client likes',
  )
  now.socket.destroy()
})

t.test('an Engine is not asked for a client that has gone', async (t) => {
  const { node, sockets } = await nodeWithEngine(t, (socket) => {
    socket.resume().on('end', () => socket.end())
  })
  let goOn = (): void => {}
  let isAsked = false
  node.engine.apiVersions = () =>
    new Promise((resolve) => {
      isAsked = true
      goOn = () => resolve({ oldest: '1.24', newest: '1.51' })
    })
  for (const path of ['/events', '/images/json', '/containers/json']) {
    isAsked = false
    const { socket } = talk(node.socketPath, `GET ${path} HTTP/1.1\r\nHost: docker\r\n\r\n`)
    await until(() => isAsked)
    socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    goOn()
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.equal(sockets.size, 0, path)
  }
})

t.test('nor for one that breaks off while the swarm is asked', async (t) => {
  let calls = 0
  const { node } = await nodeWithEngine(t, (socket) => {
    calls += 1
    socket.resume().on('end', () => socket.end())
  })
  const control = node.swarm.control()
  const { listNetworks, getNetwork } = control
  let leave = async (): Promise<void> => {}
  control.getNetwork = async (...args) => {
    await leave()
    return getNetwork.apply(control, args)
  }
  control.listNetworks = async (...args) => {
    await leave()
    return listNetworks.apply(control, args)
  }
  const settings = JSON.stringify({ Name: 'conf', Driver: 'overlay', ConfigOnly: true })
  for (const [line, body] of [
    // Passed on as it is, and in another form.
    ['GET /networks/mine', ''],
    ['POST /networks/create', settings],
  ] as const) {
    const client = createConnection(node.socketPath).pause()
    client.on('error', () => {})
    const pause = () => new Promise((resolve) => setTimeout(resolve, 50))
    const ask = (line: string, body: string) => {
      const head = `Content-Type: application/json\r\nContent-Length: ${body.length}`
      client.write(`${line} HTTP/1.1\r\nHost: docker\r\n${head}\r\n\r\n${body}`)
    }
    // With an answer that it has not read its end is no half-close, but a break.
    ask('GET /services', '')
    await pause()
    let isOver = false
    leave = async () => {
      client.destroy()
      await pause()
      setTimeout(() => {
        isOver = true
      }, 100)
    }
    ask(line, body)
    await until(() => isOver)
    t.equal(calls, 0, line)
  }
})

t.test('a client that ends its sending half is answered', async (t) => {
  const { node, sockets } = await nodeWithEngine(t, (socket) => {
    socket.once('data', () => {
      setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n'), 100)
    })
  })
  await node.swarm.store.update((tx) => tx.put('service', sampleService('web1', 'web')))
  const paths = ['/images/json', '/containers/json', '/v1.41/containers/x/json', '/services']
  for (const version of ['1.0', '1.1']) {
    for (const path of paths) {
      const { socket, state } = talk(node.socketPath, '')
      socket.end(`GET ${path} HTTP/${version}\r\nHost: docker\r\n\r\n`)
      await until(() => state.isEnded)
      t.match(state.text, /^HTTP\/1.1 200 OK\r\n[\s\S]*("web"|hi\n)/, `${version} ${path}`)
      await until(() => sockets.size === 0)
    }
  }
})

t.test('an Engine sees what its client ended', async (t) => {
  const got: string[] = []
  // As Go's server: the end of the client's half cancels what is under way.
  const { node, sockets } = await nodeWithEngine(t, (socket) => {
    socket.on('data', (chunk) => got.push(String(chunk)))
    socket.on('end', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nended\n'))
  })
  const { socket, state } = talk(node.socketPath, '')
  socket.end('POST /containers/x/wait HTTP/1.1\r\nHost: docker\r\nContent-Length: 4\r\n\r\nbody')
  await until(() => state.isEnded)
  t.match(got.join(''), /body$/, 'after the whole request')
  t.match(state.text, /ended\n$/)
  await until(() => sockets.size === 0)
})

t.test('an Engine that hangs keeps no connections of clients that may have gone', async (t) => {
  const engine = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume().on('error', () => {})
  })
  const front = createHttpServer((incoming, answer) => {
    const upstream = request({ port: (engine.address() as AddressInfo).port, agent: false })
    upstream.on('error', () => answer.destroy())
    passHalfClose(incoming, answer, upstream, 50)
    upstream.end()
  })
  Object.assign(front, { httpAllowHalfOpen: true })
  for (const server of [engine, front]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
  }
  const socket = createConnection((front.address() as AddressInfo).port)
  socket.end('GET / HTTP/1.1\r\nHost: docker\r\n\r\n')
  await new Promise((resolve) => socket.once('close', resolve))
  t.pass('it is over')
})

t.test('what only waits ends with the half of its client', async (t) => {
  const { node, sockets } = await nodeWithEngine(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    socket.resume().on('end', () => socket.end('0\r\n\r\n'))
  })
  await node.swarm.store.update((tx) => tx.put('service', sampleService('web1', 'web')))
  for (const path of ['/events', '/services/web1/logs?stdout=1&follow=1']) {
    const { socket, state } = talk(node.socketPath, `GET ${path} HTTP/1.1\r\nHost: docker\r\n\r\n`)
    await until(() => state.text.includes('200 OK'))
    t.notOk(state.isEnded)
    socket.end()
    await until(() => state.isEnded && sockets.size === 0)
  }
})

t.test('a daemon that stops waits for no hijacked connection', async (t) => {
  const node = await ApiNode.start()
  const head = 'Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n'
  const { state } = talk(node.socketPath, `POST /containers/x/attach HTTP/1.1\r\n${head}\r\n`)
  await until(() => state.text.includes('101'))
  await node.stop()
  await until(() => state.isEnded || state.error !== '')
  t.pass('it has ended')
})

t.test('the Engine hears of a client that goes away in the middle', async (t) => {
  const { node, sockets } = await nodeWithEngine(t, (socket) => {
    socket.resume().on('end', () => socket.end())
  })
  for (const [method, path] of [
    ['POST', '/containers/x/wait'],
    ['POST', '/containers/x/attach'],
    ['GET', '/containers/json'],
  ] as const) {
    const upgrade = path.endsWith('attach') ? 'Connection: Upgrade\r\nUpgrade: tcp\r\n' : ''
    const head = `${method} ${path} HTTP/1.1\r\nHost: docker\r\n${upgrade}Content-Length: 0\r\n\r\n`
    const { socket } = talk(node.socketPath, head)
    await until(() => sockets.size === 1)
    socket.destroy()
    await until(() => sockets.size === 0)
  }
})

t.test('an Engine that goes away in the middle of an answer cuts it short, visibly', async (t) => {
  const { node } = await nodeWithEngine(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      setTimeout(() => socket.destroy(), 50)
    })
  })
  const answer = await node.open('GET', '/images/x/get')
  await t.rejects(async () => {
    for await (const _ of answer);
  })
})
