import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { FrameSender } from '../../src/rpc/frame-sender.ts'
import { NOTIFY_CHANNEL, Outbox } from '../../src/rpc/outbox.ts'
import { BATCH_SUBPROTOCOL, decodeBatch, decodeFrame } from '../../src/rpc/wire.ts'

/** A sender, its socket, and the messages that its peer gets: each as the texts of its frames. */
const sending = async (t: Test) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection') as Promise<[WebSocket]>
  let socket!: Socket
  const client = new WebSocket(`ws://127.0.0.1:${port}`, BATCH_SUBPROTOCOL, {
    createConnection: () => {
      socket = connect(port, '127.0.0.1')
      return socket
    },
  })
  const received: string[][] = []
  const [peer] = await accepted
  peer.on('message', (message) => {
    const frame = decodeFrame(message as Buffer)
    const frames = frame.kind === 'batch' ? decodeBatch(frame.payload) : [frame]
    received.push(frames.map(({ payload }) => payload.toString()))
  })
  if (client.readyState !== client.OPEN) await once(client, 'open')
  t.teardown(() => {
    client.terminate()
    server.close()
  })
  const outbox = new Outbox()
  const sender = new FrameSender(outbox, client, socket, t.fail)
  const push = (text: string) =>
    outbox.push(NOTIFY_CHANNEL, 'notify', NOTIFY_CHANNEL, Buffer.from(text))
  const arrived = async () => {
    // After what is sent at the end of this turn.
    await setImmediate()
    client.ping()
    await once(peer, 'ping')
    return received
  }
  return { sender, socket, push, arrived }
}

t.test('all frames of one turn go out in one message, once it is over', async (t) => {
  const { sender, socket, push, arrived } = await sending(t)
  const before = socket.bytesWritten
  for (const text of ['one', 'two', 'three']) {
    push(text)
    sender.schedule()
  }
  t.equal(socket.bytesWritten, before, 'nothing yet')
  t.same(await arrived(), [['one', 'two', 'three']])
})

t.test('what is flushed is with the socket before the call returns', async (t) => {
  const { sender, socket, push, arrived } = await sending(t)
  push('waits')
  sender.schedule()
  push('now')
  const before = socket.bytesWritten
  sender.flush()
  t.ok(socket.bytesWritten > before, 'at once, with what waited before it')
  push('later')
  sender.schedule()
  t.same(await arrived(), [['waits', 'now'], ['later']])
})
