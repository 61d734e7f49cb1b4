import { SwarmctlError } from '../api/errors.ts'
import type { Network } from '../api/network.ts'
import { isManager } from './membership.ts'
import type { Exchange } from './routes.ts'

const isUnavailable = (error: unknown): boolean =>
  error instanceof SwarmctlError && error.code === 'UNAVAILABLE'

/**
 * The swarm's network of this name, or none: then it is a local one. What this manager has is enough for a hit; before a miss it asks
 * for the latest. Without a leader local networks are still to be had.
 */
export const findSwarmNetwork = async (
  exchange: Exchange,
  ref: string,
): Promise<Network | undefined> => {
  if (!isManager(exchange.port.status())) return undefined
  const control = exchange.port.control()
  const isAbsent = (error: unknown): undefined => {
    if (error instanceof SwarmctlError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
  return (
    (await control.getNetwork(ref, { stale: true }).catch(isAbsent)) ??
    (await control
      .getNetwork(ref)
      .catch((error) => (isUnavailable(error) ? undefined : isAbsent(error))))
  )
}
