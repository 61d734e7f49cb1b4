/** Limits of the store (swarmkit `manager/state/store`: 200 changes, 1.5 MiB per transaction). */

export const TRANSACTION_CHANGES_MAX = 200
export const TRANSACTION_BYTES_MAX = 1.5 * 1024 * 1024

/** A service is stored with its previous spec, and with its ports twice more: allocator and orchestrator must have room for what they add. */
export const SERVICE_SPEC_BYTES_MAX = TRANSACTION_BYTES_MAX / 4

/** How often `update` runs a change anew because another transaction was first. */
export const UPDATE_ATTEMPTS_MAX = 20

/** Released addresses and ports that are remembered so that they are reused last; a hint that every restart forgets. */
export const RELEASED_MAX = 65_536
