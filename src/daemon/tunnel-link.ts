import { Duplex } from 'node:stream'
import type { Tunnel, TunnelTarget } from '../overlay/proxy/tunnel.ts'
import type { RpcStream } from '../rpc/connection.ts'
import { type NodeStreamDeps, openNodeStream } from './node-stream.ts'

/** Rpc stream that carries one connection between a node's proxy and another node's container. */
const METHOD = 'overlay.tunnel'

/** An rpc stream of byte messages as a Node stream, each side ending on its own. */
const asDuplex = (stream: RpcStream): Duplex => {
  const incoming = stream.messages()[Symbol.asyncIterator]()
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      incoming.next().then(
        ({ done, value }) => void this.push(done ? null : Buffer.from(value as Uint8Array)),
        (error) => this.destroy(error as Error),
      )
    },
    write(chunk: Buffer, _encoding, callback) {
      stream.send(chunk).then(() => callback(), callback)
    },
    final(callback) {
      stream.end()
      callback()
    },
    destroy(error, callback) {
      // What both sides ended is over; the rest of the stream is of no use to anybody.
      if (error || !this.writableFinished || !this.readableEnded) stream.abort(error ?? undefined)
      callback(error)
    },
  })
  // A broken tunnel shows at the connection that it carries; nobody else listens when it fails before it carries one.
  duplex.on('error', () => {})
  return duplex
}

/** The proxy's way to endpoints on other nodes: many streams over one mutually authenticated connection per pair of nodes. */
export class TunnelLink implements Tunnel {
  readonly #deps: NodeStreamDeps

  constructor(deps: NodeStreamDeps) {
    this.#deps = deps
  }

  async open(nodeId: string, target: TunnelTarget): Promise<Duplex> {
    return asDuplex(await openNodeStream(this.#deps, nodeId, { method: METHOD, body: target }))
  }

  /** Serves the other end for the whole cluster. */
  serve(accept: (target: unknown, peer: Duplex) => Promise<void>): () => void {
    return this.#deps.handlers.onStream(METHOD, (target, stream) =>
      accept(target, asDuplex(stream)),
    )
  }
}
