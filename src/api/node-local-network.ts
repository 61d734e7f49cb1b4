import type { Network } from './network.ts'
import { OVERLAY_BRIDGE_PREFIX } from './overlay-bridge.ts'
import type { NetworkAttachment } from './task.ts'
import { OVERLAY_DRIVER, PREDEFINED_LABEL } from './validate/network.ts'

/** How the name of the Engine's network begins that a node makes for a node-local one; the network's id follows. */
const PREFIX = `${OVERLAY_BRIDGE_PREFIX}local-`

/** Label of such a network: the name of the Engine's network that it has its settings from. */
export const CONFIG_FROM_LABEL = 'swarmctl.config-from'

export const nodeLocalName = (networkId: string): string => `${PREFIX}${networkId}`

/** Whether an Engine's network is what its node made for a node-local one. */
export const isNodeLocalName = (dockerNetwork: string): boolean => dockerNetwork.startsWith(PREFIX)

/**
 * Whether the cluster only knows that the network is there: each node makes it with its own Engine and gives the addresses by itself.
 * `host`, `bridge` and `none` are no such networks: every Engine has them already.
 */
export const isNodeLocal = ({ Spec }: Network): boolean =>
  Spec.DriverConfiguration.Name !== OVERLAY_DRIVER && Spec.Labels[PREDEFINED_LABEL] === undefined

/** Those of a task's networks that its node makes by itself. */
export const nodeLocalNetworks = (task: { NetworksAttachments?: NetworkAttachment[] }): Network[] =>
  (task.NetworksAttachments ?? []).map((one) => one.Network).filter((one) => isNodeLocal(one))

/** Whether an Engine's network is the configuration-only one of this very name: the Engine also finds by the beginning of an id, libnetwork's reference is a name. */
export const isConfigNetwork = (
  found: { Name: string; ConfigOnly?: boolean } | undefined,
  name: string,
): boolean => found?.ConfigOnly === true && found.Name === name

/** What is wrong when there is none, in moby's words. */
export const noConfigNetwork = (name: string): string =>
  `configuration network "${name}" does not exist`
