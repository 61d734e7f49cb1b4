import type { RelayLink, RelayStream } from '../overlay/relay/link.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'

/** Rpc stream by which a node's relay sends another one the datagrams of encrypted networks. One way: the other end opens its own. */
const METHOD = 'overlay.relay'

export interface ClusterRelayLinkDeps {
  handlers: RpcHandlers
  /** Connections that carry nothing else than tenants' traffic. */
  pool: RpcPool
  /** host:port of a node's cluster port. */
  addrOf(nodeId: string): string | undefined
}

/** The relays' way to each other: streams over the nodes' mutually authenticated connections. */
export class ClusterRelayLink implements RelayLink {
  readonly #deps: ClusterRelayLinkDeps

  constructor(deps: ClusterRelayLinkDeps) {
    this.#deps = deps
  }

  async open(nodeId: string): Promise<RelayStream> {
    const addr = this.#deps.addrOf(nodeId)
    if (addr === undefined) throw new Error(`the address of node ${nodeId} is not known`)
    const connection = await this.#deps.pool.get(addr, { expectNodeId: nodeId })
    const stream = connection.openStream(METHOD, null)
    return {
      send: (message) => stream.send(message),
      close: () => stream.abort(),
      closed: stream.closed,
    }
  }

  /** Serves the other end for the whole cluster; `nodeId` is the one in the caller's certificate. */
  serve(accept: (nodeId: string, messages: AsyncIterable<unknown>) => Promise<void>): () => void {
    return this.#deps.handlers.onStream(METHOD, async (_body, stream, { peer }) => {
      // Without options a method is for nodes of the cluster only.
      if (peer !== null) await accept(peer.nodeId, stream.messages())
    })
  }
}
