import type { Target } from './job.ts'

/** One connection for unary calls of gRPC. Messages are encoded already. */
export interface GrpcConnection {
  /** Rejects when the status is another than OK. `path`: /package.Service/Method. */
  call(path: string, message: Buffer): Promise<Buffer>
  close(): void
}

/** Connects to `addr` (host:port) with mutual TLS. */
export type GrpcConnect = (addr: string, tls: Target['tls']) => Promise<GrpcConnection>
