import { Agent, get } from 'node:https'
import { Connections } from './connections.ts'
import type { GrpcConnection } from './grpc.ts'
import { connectGrpcHttp2 } from './grpc-http2.ts'
import { connectGrpcJs } from './grpc-js.ts'
import type { EtcdClientName, MemberStatus, Target } from './job.ts'
import { KeySource, type StoreClient, VALUE_BYTES } from './store-client.ts'

const CONNECT = { http2: connectGrpcHttp2, 'grpc-js': connectGrpcJs } as const

/** etcd's key-value API by gRPC. */
export class EtcdClient implements StoreClient {
  readonly #target: Target
  readonly #keys = new KeySource()
  readonly #value = Buffer.alloc(VALUE_BYTES, 'v')
  readonly #connections: Connections<GrpcConnection>

  constructor(target: Target, name: EtcdClientName) {
    this.#target = target
    this.#connections = new Connections(
      (member) => CONNECT[name](target.addrs[member] as string, target.tls),
      (connection) => connection.close(),
    )
  }

  open(members: readonly number[], connections: number): Promise<void> {
    return this.#connections.open(members, connections)
  }

  async put(member: number, worker: number): Promise<string> {
    const key = this.#keys.next()
    const message = Buffer.concat([field(1, Buffer.from(key)), field(2, this.#value)])
    await this.#connections.at(member, worker).call('/etcdserverpb.KV/Put', message)
    return key
  }

  /** Range is linearizable unless it is asked not to be. */
  async get(member: number, worker: number, ref: string): Promise<void> {
    const message = field(1, Buffer.from(ref))
    const answer = await this.#connections
      .at(member, worker)
      .call('/etcdserverpb.KV/Range', message)
    if (answer.indexOf(this.#value) === -1) throw new Error('read something else')
  }

  async remove(member: number, worker: number, ref: string): Promise<void> {
    const message = field(1, Buffer.from(ref))
    await this.#connections.at(member, worker).call('/etcdserverpb.KV/DeleteRange', message)
  }

  async status(member: number): Promise<MemberStatus> {
    const { key, cert, ca } = this.#target.tls
    const agent = new Agent({ key, cert, ca })
    const text = await new Promise<string>((resolve, reject) => {
      get(`https://${this.#target.addrs[member]}/metrics`, { agent }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () => resolve(body))
      }).on('error', reject)
    })
    agent.destroy()
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    if (value('etcd_server_has_leader') !== 1) throw new Error('no leader yet')
    return {
      isLeader: value('etcd_server_is_leader') === 1,
      syncCount: value('etcd_disk_wal_fsync_duration_seconds_count'),
      applied: value('etcd_server_proposals_applied_total'),
    }
  }

  close(): void {
    this.#connections.close()
  }
}

/** A length-delimited field of protobuf; lengths here are below 2^14. */
const field = (number: number, bytes: Buffer): Buffer => {
  const { length } = bytes
  const header =
    length < 128
      ? [(number << 3) | 2, length]
      : [(number << 3) | 2, (length & 127) | 128, length >> 7]
  return Buffer.concat([Buffer.from(header), bytes])
}
