import { unavailable } from '../api/errors.ts'
import type { Exchange } from './routes.ts'

/**
 * Answers where the leader is: here by `run`, or by forwarding the whole request; `body` stands for a body already read.
 * @throws SwarmctlError UNAVAILABLE when nobody leads
 */
export const atLeader = async (
  { port, request, response }: Exchange,
  run: () => Promise<void> | void,
  body?: Buffer,
): Promise<void> => {
  const leader = await port.route()
  switch (leader.kind) {
    case 'self':
      return run()
    case 'forward':
      return port.forward(request, response, leader.nodeId, body)
    case 'none':
      throw unavailable(leader.message)
    default:
      return leader satisfies never
  }
}
