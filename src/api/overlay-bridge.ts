/** How the names begin of the Engine's networks that are an overlay's bridge on a node; the overlay's number follows. */
export const OVERLAY_BRIDGE_PREFIX = 'swarmctl-'

/** Label of the Engine's networks that implement one of the cluster's on this node; its value is the id of the cluster's. */
export const OVERLAY_BRIDGE_LABEL = 'swarmctl.network'

/** The name of the cluster's network, on the same. */
export const OVERLAY_NAME_LABEL = 'com.docker.swarm.network.name'
