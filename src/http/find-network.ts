import type { Network } from '../api/network.ts'
import { hasLocalNetwork } from './engine-networks.ts'
import { isManager } from './membership.ts'
import { orUndefined } from './or-undefined.ts'
import type { Exchange } from './routes.ts'

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
  const found =
    (await orUndefined(control.getNetwork(ref, { stale: true }))) ??
    (await orUndefined(control.getNetwork(ref), ['NOT_FOUND', 'UNAVAILABLE']))
  if (found === undefined || found.ID === ref || found.Spec.Name === ref) return found
  // A whole name of either kind is meant before a part of an id (moby `findUniqueNetwork`).
  return (await hasLocalNetwork(exchange.engine, ref)) ? undefined : found
}
