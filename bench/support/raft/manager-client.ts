import { readCredentials } from '../../../src/pki/credentials.ts'
import { connect } from '../../../src/rpc/client.ts'
import type { RpcConnection } from '../../../src/rpc/connection.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import { noLog, realClock } from '../../../test/support/rpc/cluster-fixture.ts'
import { Connections } from './connections.ts'
import type { MemberStatus, Target } from './job.ts'
import { KeySource, type StoreClient, VALUE_BYTES } from './store-client.ts'

/** swarmctl's own client of the cluster port: mutual TLS, WebSocket, MessagePack. A put creates a config. */
export class ManagerClient implements StoreClient {
  readonly #target: Target
  readonly #keys = new KeySource()
  readonly #value = Buffer.alloc(VALUE_BYTES, 'v').toString('base64')
  readonly #connections = new Connections<RpcConnection>(
    (member) => this.#connect(member),
    (connection) => connection.close(),
  )

  constructor(target: Target) {
    this.#target = target
  }

  open(members: readonly number[], connections: number): Promise<void> {
    return this.#connections.open(members, connections)
  }

  async put(member: number, worker: number): Promise<string> {
    const spec = { Name: this.#keys.next(), Data: this.#value }
    const answer = await this.#connections.at(member, worker).request('config.create', spec)
    return (answer as { ID: string }).ID
  }

  async get(member: number, worker: number, ref: string): Promise<void> {
    const found = await this.#connections.at(member, worker).request('config.inspect', { ref })
    const { ID, Spec } = found as { ID: string; Spec: { Data: string } }
    if (ID !== ref || Spec.Data !== this.#value) throw new Error('read something else')
  }

  async remove(member: number, worker: number, ref: string): Promise<void> {
    await this.#connections.at(member, worker).request('config.remove', { ref })
  }

  async status(member: number): Promise<MemberStatus> {
    const connection = await this.#connect(member)
    try {
      const report = await connection.request('manager.status', {})
      const { role, applied, syncCount } = report as Record<string, unknown>
      return {
        isLeader: role === 'leader',
        applied: applied as number,
        syncCount: syncCount as number,
      }
    } finally {
      connection.close()
    }
  }

  close(): void {
    this.#connections.close()
  }

  #connect(member: number): Promise<RpcConnection> {
    const { key, cert, ca } = this.#target.tls
    return connect(this.#target.addrs[member] as string, {
      handlers: new RpcHandlers(),
      log: noLog,
      clock: realClock,
      credentials: readCredentials({ keyPem: key, certPem: cert, rootCAPem: ca }),
    })
  }
}
