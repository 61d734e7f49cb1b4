import type { RpcStream } from '../rpc/connection.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'

/** What streams between nodes need on both ends. */
export interface NodeStreamDeps {
  handlers: RpcHandlers
  /** Connections that carry nothing else than tenants' traffic. */
  pool: RpcPool
  /** host:port of a node's cluster port. */
  addrOf(nodeId: string): string | undefined
}

/** Opens a stream to a node, over the one mutually authenticated connection per pair of nodes. */
export const openNodeStream = async (
  deps: NodeStreamDeps,
  nodeId: string,
  call: { method: string; body: unknown },
): Promise<RpcStream> => {
  const addr = deps.addrOf(nodeId)
  if (addr === undefined) throw new Error(`the address of node ${nodeId} is not known`)
  const connection = await deps.pool.get(addr, { expectNodeId: nodeId })
  return connection.openStream(call.method, call.body)
}
