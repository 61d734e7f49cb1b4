/**
 * Of a removal and an attachment of a network that are under way at the same time, only one may win. A removal expects that no service has
 * changed since it looked; that no task has, it can't: in a busy cluster one always has. So the network itself says that containers may
 * have been attached: the first attachment writes that mark, a removal takes it away before it looks, and fails when another attachment has
 * written it anew. What attaches to a marked network changes nothing of it: many nodes do so at once and are not in each other's way.
 */
import type { Network } from '../../api/network.ts'
import type { Tx } from '../store/tx.ts'

/** For a transaction that attaches a container to the network: that stays until it is applied, and is marked then. */
export const markAttached = (tx: Tx, network: Network): void => {
  if (network.Swarmctl.Attached) tx.touch('network', network.ID)
  else tx.put('network', { ...network, Swarmctl: { ...network.Swarmctl, Attached: true } })
}

/** From here on whoever attaches a container to the network marks it. */
export const unmarkAttached = (tx: Tx, network: Network): void => {
  const { Attached, ...rest } = network.Swarmctl
  if (Attached) tx.put('network', { ...network, Swarmctl: rest })
}
