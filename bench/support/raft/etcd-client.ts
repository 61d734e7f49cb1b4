/**
 * etcd's gRPC API spoken straight over HTTP/2: each call is one stream with one message each way. It does what a
 * gRPC library does, without its layers, so that the client takes as little of the machine from etcd as Node lets it.
 */
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { Agent, get } from 'node:https'
import { Connections } from './connections.ts'
import type { MemberStatus, Target } from './job.ts'
import { KeySource, type StoreClient, VALUE_BYTES } from './store-client.ts'

/** gRPC's frame: not compressed (1 byte), length (4 bytes). */
const PREFIX_BYTES = 5
const WINDOW_BYTES = 8 * 1024 * 1024
const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_TE } =
  constants

export class EtcdClient implements StoreClient {
  readonly #target: Target
  readonly #keys = new KeySource()
  readonly #value = Buffer.alloc(VALUE_BYTES, 'v')
  readonly #sessions = new Connections<ClientHttp2Session>(
    (member) => this.#connect(member),
    (session) => session.destroy(),
  )

  constructor(target: Target) {
    this.#target = target
  }

  open(members: readonly number[], connections: number): Promise<void> {
    return this.#sessions.open(members, connections)
  }

  async put(member: number, worker: number): Promise<string> {
    const key = this.#keys.next()
    const message = Buffer.concat([field(1, Buffer.from(key)), field(2, this.#value)])
    await this.#call(this.#sessions.at(member, worker), '/etcdserverpb.KV/Put', message)
    return key
  }

  /** Range is linearizable unless it is asked not to be. */
  async get(member: number, worker: number, ref: string): Promise<void> {
    const message = field(1, Buffer.from(ref))
    const answer = await this.#call(
      this.#sessions.at(member, worker),
      '/etcdserverpb.KV/Range',
      message,
    )
    if (answer.indexOf(this.#value) === -1) throw new Error('read something else')
  }

  async remove(member: number, worker: number, ref: string): Promise<void> {
    const message = field(1, Buffer.from(ref))
    await this.#call(this.#sessions.at(member, worker), '/etcdserverpb.KV/DeleteRange', message)
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
    this.#sessions.close()
  }

  #connect(member: number): Promise<ClientHttp2Session> {
    const { key, cert, ca } = this.#target.tls
    const session = connectHttp2(`https://${this.#target.addrs[member]}`, {
      ...{ key, cert, ca },
      settings: { initialWindowSize: WINDOW_BYTES },
    })
    return new Promise((resolve, reject) => {
      session.once('error', reject)
      session.once('connect', () => {
        session.off('error', reject)
        session.on('error', () => {})
        session.setLocalWindowSize(WINDOW_BYTES)
        resolve(session)
      })
    })
  }

  #call(session: ClientHttp2Session, path: string, message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
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
