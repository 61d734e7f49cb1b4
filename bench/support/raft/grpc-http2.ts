/**
 * gRPC spoken straight over HTTP/2: each call is one stream with one message each way. It does what a gRPC library
 * does, without its layers, so that the client takes as little of the machine from the servers as Node lets it.
 */
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import type { GrpcConnect } from './grpc.ts'

/** gRPC's frame: not compressed (1 byte), length (4 bytes). */
const PREFIX_BYTES = 5
const WINDOW_BYTES = 8 * 1024 * 1024
const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_TE } =
  constants

export const connectGrpcHttp2: GrpcConnect = async (addr, tls) => {
  const session = connectHttp2(`https://${addr}`, {
    ...tls,
    settings: { initialWindowSize: WINDOW_BYTES },
  })
  await new Promise<void>((resolve, reject) => {
    session.once('error', reject)
    session.once('connect', () => {
      session.off('error', reject)
      session.on('error', () => {})
      session.setLocalWindowSize(WINDOW_BYTES)
      resolve()
    })
  })
  return {
    call: (path, message) => call(session, path, message),
    close: () => session.destroy(),
  }
}

const call = (session: ClientHttp2Session, path: string, message: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const stream = session.request({
      [HTTP2_HEADER_METHOD]: 'POST',
      [HTTP2_HEADER_PATH]: path,
      [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [HTTP2_HEADER_TE]: 'trailers',
    })
    const chunks: Buffer[] = []
    let status: unknown
    const note = (headers: Record<string, unknown>) => {
      status = headers['grpc-status'] ?? status
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => {
      if (status === '0' || status === 0) resolve(Buffer.concat(chunks))
      else reject(new Error(`gRPC status ${status}`))
    })
    stream.on('close', () => reject(new Error('the stream closed')))
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
    frame[0] = 0
    frame.writeUInt32BE(message.length, 1)
    message.copy(frame, PREFIX_BYTES)
    stream.end(frame)
  })
