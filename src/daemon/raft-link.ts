import type { RaftTransport } from '../raft/node-ports.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'

/** Rpc notify that carries one raft message. */
const METHOD = 'raft.message'

export interface RaftLinkDeps {
  handlers: RpcHandlers
  /** Connections for the small messages that elections and appends are. */
  pool: RpcPool
  /** Connections of their own for snapshots, so that heartbeats never wait behind them. */
  bulkPool: RpcPool
  /** host:port of a member, undefined when unknown. */
  addrOf(id: string): string | undefined
}

/** Raft's transport over the cluster port: each side sends on the connection that it opened itself. */
export class RaftLink implements RaftTransport {
  readonly #deps: RaftLinkDeps
  readonly #watched = new WeakSet<object>()
  #onClosed: ((id: string) => void) | undefined
  #unregister: () => void = () => {}

  constructor(deps: RaftLinkDeps) {
    this.#deps = deps
  }

  send(to: string, message: Uint8Array, options: { bulk: boolean }): void {
    const addr = this.#deps.addrOf(to)
    if (addr === undefined) return
    const pool = options.bulk ? this.#deps.bulkPool : this.#deps.pool
    const open = pool.current(addr)
    if (open?.isOpen && open.peer?.nodeId === to) {
      open.notify(METHOD, message)
      return
    }
    // A message that finds no connection is late anyway when there is one; the first ones are not, in a young cluster.
    pool
      .get(addr, { expectNodeId: to })
      .then((connection) => {
        if (!this.#watched.has(connection)) {
          this.#watched.add(connection)
          connection.onClose(() => this.#onClosed?.(to))
        }
        connection.notify(METHOD, message)
      })
      // Raft sends again; the pool spaces the attempts and knows the reason.
      .catch(() => {})
  }

  onMessage(handler: (from: string, message: Uint8Array) => void): void {
    this.#unregister = this.#deps.handlers.onNotify(
      METHOD,
      (body, context) => {
        if (context.peer && body instanceof Uint8Array) handler(context.peer.nodeId, body)
      },
      { roles: ['manager'] },
    )
  }

  onPeerClosed(handler: (id: string) => void): void {
    this.#onClosed = handler
  }

  close(): void {
    this.#unregister()
  }
}
