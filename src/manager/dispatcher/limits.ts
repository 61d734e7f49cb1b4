/** Limits of the dispatcher. Heartbeats are in `src/api/defaults.ts`. */

/**
 * After a change of leader, nodes have this long to register before they count as down. Agents whose connection broke are back within
 * 0.2 s; those of a leader that vanished silently notice within 3 s of its end, some of which the election took. Short enough that
 * the tasks of a lost leader's own node run elsewhere after some 5 s.
 */
export const REGISTER_GRACE_MS = 4000

/** Changes within this time go out as one message; the first one goes at once. */
export const COALESCE_MS = 5

/** How often silent nodes and overdue waits are looked for. */
export const SWEEP_MS = 250

/** A sweep this late says that this process stood still, not the nodes. */
export const STALL_MS = 1500

/** How long a task waits for every node to confirm that it has left rotation; less than what its agent waits (5 s). */
export const ROTATION_WAIT_MAX_MS = 3000

/** Statuses that wait to be written; above it agents are not read until some are. */
export const STATUSES_PENDING_MAX = 4096

/** The shortest heartbeat that `swarm update --dispatcher-heartbeat` can set. */
export const HEARTBEAT_PERIOD_MS_MIN = 250
