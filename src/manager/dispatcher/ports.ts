import type { SessionRequest } from '../../api/assignment.ts'

/** The part of an rpc stream that a session needs (`src/rpc/connection.ts` has the whole). */
export interface SessionStream {
  /** Resolves when buffered below the high-water mark; rejects when closed. */
  send(message: unknown): Promise<void>
  messages(): AsyncIterable<unknown>
  end(): void
  abort(error?: Error): void
}

/** The part of an rpc connection that the dispatcher needs: an agent serves its tasks' logs on it. */
export interface AgentConnection {
  openStream(method: string, body: unknown): SessionStream
}

/** Who opened the session. */
export interface SessionContext {
  /** `role`: by its certificate. */
  peer: { nodeId: string; role?: 'worker' | 'manager' } | null
  connection: AgentConnection
  remoteAddress: string
}

/** The Status of a node shows an address without a port; an unspecified one is replaced by where the agent comes from. */
export const nodeAddress = (request: SessionRequest, remoteAddress: string): string => {
  const host = request.addr.slice(0, request.addr.lastIndexOf(':')).replace(/^\[|\]$/g, '')
  return host === '' || host === '0.0.0.0' || host === '::'
    ? remoteAddress.replace(/^::ffff:/, '')
    : host
}
