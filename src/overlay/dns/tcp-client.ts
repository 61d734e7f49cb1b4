import type { Socket } from 'node:net'
import { withLength } from './upstream.ts'

/** Milliseconds without a byte in either direction: also of a client that asks and does not read. */
const IDLE_TIMEOUT_MS = 10_000
/** Of the length that stands before each message (RFC 1035 §4.2.2). */
const LENGTH_BYTES = 2

/**
 * Answers a client's queries in their order, one at a time: the next is read when the answer before it is with the kernel, so that a client
 * that sends and does not read fills no memory here, and each in a turn of its own, so that one that sends many delays nobody. Its socket
 * must allow half-open connections: who has asked everything still gets its answers. Resolves when the connection is over.
 */
export const serveTcpClient = async (
  socket: Socket,
  answer: (message: Buffer) => Promise<Buffer | null>,
  { idleTimeoutMs = IDLE_TIMEOUT_MS }: { idleTimeoutMs?: number } = {},
): Promise<void> => {
  socket.setTimeout(idleTimeoutMs, () => socket.destroy())
  // Reading and writing end with it, too.
  socket.on('error', () => {})
  try {
    for await (const message of messagesOf(socket)) {
      const reply = await answer(message)
      if (reply !== null) await written(socket, withLength(reply))
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  } catch {
    // It broke off, or was idle for too long.
  } finally {
    socket.destroy()
  }
}

/** A stream's messages. What is left of a chunk is less than one message, and the stream reads no further than its own limit. */
async function* messagesOf(socket: Socket): AsyncGenerator<Buffer> {
  let received: Buffer = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk])
    while (received.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + received.readUInt16BE(0)
      if (received.length < end) break
      yield received.subarray(LENGTH_BYTES, end)
      received = received.subarray(end)
    }
  }
}

/** Resolves when the kernel has it. */
const written = (socket: Socket, bytes: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
