/** How the names begin of the Engine's networks that are an overlay's bridge on a node; the overlay's number follows. */
export const OVERLAY_BRIDGE_PREFIX = 'swarmctl-'
