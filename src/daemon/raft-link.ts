import type { RaftTransport } from '../raft/node-ports.ts'
import { kindOf } from '../raft/wire.ts'
import type { RpcConnection } from '../rpc/connection.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'
import { passesToRaft, type RaftSender } from './raft-admission.ts'

/** Rpc notify that carries one raft message. */
const METHOD = 'raft.message'
/** At once, not at the end of the turn: the others write an entry to their disks while this node does so, and applies what it has. */
const NOW = { now: true } as const

export interface RaftLinkDeps {
  handlers: RpcHandlers
  /** Connections for the small messages that elections and appends are. */
  pool: Pick<RpcPool, 'get' | 'current'>
  /** Connections of their own for snapshots, so that heartbeats never wait behind them. */
  bulkPool: Pick<RpcPool, 'get' | 'current'>
  /** host:port of a member, undefined when unknown. */
  addrOf(id: string): string | undefined
  /** What this manager knows now of who sent a message. */
  senderOf(id: string): RaftSender
}

/** Raft's transport over the cluster port: each side sends on the connection that it opened itself. */
export class RaftLink implements RaftTransport {
  readonly #deps: RaftLinkDeps
  readonly #watched = new WeakSet<RpcConnection>()
  /** The connection that small messages last took, while it is open: whose it is was checked then. */
  readonly #outbound = new Map<string, RpcConnection>()
  /** The way back to members whose address is not known yet: a new manager answers its leader before it has a log. */
  readonly #inbound = new Map<string, RpcConnection>()
  #onClosed: ((id: string) => void) | undefined
  #unregister: () => void = () => {}

  constructor(deps: RaftLinkDeps) {
    this.#deps = deps
  }

  send(to: string, message: Uint8Array, options: { bulk: boolean }): void {
    const known = options.bulk ? undefined : this.#outbound.get(to)
    if (known?.isOpen) {
      known.notify(METHOD, message, NOW)
      return
    }
    const addr = this.#deps.addrOf(to)
    if (addr === undefined) {
      this.#inbound.get(to)?.notify(METHOD, message, NOW)
      return
    }
    const pool = options.bulk ? this.#deps.bulkPool : this.#deps.pool
    const open = pool.current(addr)
    if (open?.isOpen && open.peer?.nodeId === to) {
      this.#watch(to, open)
      if (!options.bulk) this.#outbound.set(to, open)
      open.notify(METHOD, message, NOW)
      return
    }
    const dialled = pool.get(addr, { expectNodeId: to }).then((connection) => {
      this.#watch(to, connection)
      return connection
    })
    // A member that came back under another address is found by the connection that it made itself, until its address is known.
    const inbound = this.#inbound.get(to)
    const way = inbound?.isOpen ? inbound : undefined
    way?.notify(METHOD, message, NOW)
    // Raft sends again; the pool spaces the attempts and knows the reason.
    dialled.then((connection) => way ?? connection.notify(METHOD, message, NOW)).catch(() => {})
  }

  onMessage(handler: (from: string, message: Uint8Array) => void): void {
    this.#unregister = this.#deps.handlers.onNotify(
      METHOD,
      (body, { peer, connection }) => {
        if (!peer || !(body instanceof Uint8Array)) return
        if (!passesToRaft(kindOf(body), this.#deps.senderOf(peer.nodeId))) return
        this.#inbound.set(peer.nodeId, connection)
        this.#watch(peer.nodeId, connection)
        handler(peer.nodeId, body)
      },
      // A manager that was demoted while it was away has to be told so; what else of it counts is decided for each message.
      { roles: ['manager'], trustsCertificate: true },
    )
  }

  onPeerClosed(handler: (id: string) => void): void {
    this.#onClosed = handler
  }

  close(): void {
    this.#unregister()
    this.#onClosed = undefined
  }

  /** A closed connection to or from a member tells of its end sooner than silence does. */
  #watch(id: string, connection: RpcConnection): void {
    if (this.#watched.has(connection)) return
    this.#watched.add(connection)
    connection.onClose(() => {
      if (this.#inbound.get(id) === connection) this.#inbound.delete(id)
      if (this.#outbound.get(id) === connection) this.#outbound.delete(id)
      this.#onClosed?.(id)
    })
  }
}
