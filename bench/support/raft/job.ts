/** What the bench asks of its client process, and what that answers. */

export type SubjectName = 'etcd' | 'swarmctl'

/** How etcd's gRPC is spoken: straight over HTTP/2, or with the library that applications in Node use. */
export type EtcdClientName = 'http2' | 'grpc-js'

/** Where the servers of one side are, and what the client shows them. */
export interface Target {
  readonly subject: SubjectName
  /** host:port of each member's client port. */
  readonly addrs: readonly string[]
  /** Of the servers, to measure their CPU time. */
  readonly pids: readonly number[]
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string }
}

/** `put`: a new key of 24 bytes with 256 bytes; `churn`: puts and removes in turn; `get`: a linearizable read; `http-put`: put as JSON over HTTP. */
export type Operation = 'put' | 'get' | 'http-put' | 'churn'

export interface Load {
  readonly operation: Operation
  readonly clients: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** Ends after this many operations instead of after a time. */
  readonly countMax?: number
}

export type Job =
  | { readonly kind: 'open'; readonly target: Target; readonly etcdClient: EtcdClientName }
  | { readonly kind: 'status' }
  | { readonly kind: 'load'; readonly load: Load }
  | { readonly kind: 'fill'; readonly count: number }
  /** Kills the leader and writes to the others until one acknowledges. */
  | { readonly kind: 'failover'; readonly leader: number }
  | { readonly kind: 'close' }

/** How a load went. */
export interface LoadResult {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU time of all servers for one operation, microseconds. */
  readonly cpuUs: number
  /** The same of the client process. */
  readonly clientCpuUs: number
  /** Operations from the first to the last, warm-up included. */
  readonly totalCount: number
  /** CPU cores that somebody else kept busy meanwhile, the kernel's own work included. */
  readonly foreignCores: number
}

/** One member as it tells itself. */
export interface MemberStatus {
  readonly isLeader: boolean
  /** Synchronous writes to its disk since it started. */
  readonly syncCount: number
  readonly applied: number
}

export type Answer =
  | { readonly kind: 'done' }
  | { readonly kind: 'status'; readonly members: readonly (MemberStatus | null)[] }
  | { readonly kind: 'load'; readonly result: LoadResult }
  | { readonly kind: 'failover'; readonly ms: number }
  | { readonly kind: 'failed'; readonly message: string }
