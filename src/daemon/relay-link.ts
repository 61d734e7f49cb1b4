import type { RelayLink, RelayStream } from '../overlay/relay/link.ts'
import { type NodeStreamDeps, openNodeStream } from './node-stream.ts'

/** Rpc stream by which a node's relay sends another one the datagrams of encrypted networks. One way: the other end opens its own. */
const METHOD = 'overlay.relay'

/** The relays' way to each other: streams over the nodes' mutually authenticated connections. */
export class ClusterRelayLink implements RelayLink {
  readonly #deps: NodeStreamDeps

  constructor(deps: NodeStreamDeps) {
    this.#deps = deps
  }

  async open(nodeId: string): Promise<RelayStream> {
    const stream = await openNodeStream(this.#deps, nodeId, { method: METHOD, body: null })
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
