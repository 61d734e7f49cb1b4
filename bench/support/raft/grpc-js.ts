import { Client, credentials } from '@grpc/grpc-js'
import { SERVER_NAME } from './certificates.ts'
import type { GrpcConnect } from './grpc.ts'

const CONNECT_LIMIT_MS = 5_000
const asIs = (bytes: Buffer): Buffer => bytes

/** gRPC with the library that applications in Node use. */
export const connectGrpcJs: GrpcConnect = async (addr, { key, cert, ca }) => {
  const tls = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert))
  const client = new Client(addr, tls, {
    // TLS names no addresses (RFC 6066), and the library would.
    'grpc.ssl_target_name_override': SERVER_NAME,
    // Without it the library sends all clients of one address over one connection.
    'grpc.use_local_subchannel_pool': 1,
  })
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + CONNECT_LIMIT_MS, (error) =>
      error ? reject(error) : resolve(),
    )
  })
  return {
    call: (path, message) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, asIs, asIs, message, (error, answer) =>
          error ? reject(error) : resolve(answer as Buffer),
        )
      }),
    close: () => client.close(),
  }
}
