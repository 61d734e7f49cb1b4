/** Limits of a node's agent. Heartbeats are in `src/api/defaults.ts`; what the dispatcher waits is in its own limits. */

/** Containers created and started at the same time, at least and at most. Measured, see docs/design/worker.md. */
const ENGINE_CONCURRENCY_MIN = 2
const ENGINE_CONCURRENCY_MAX = 16

/** One more than there are CPUs: starting a container is nearly all computing, and beyond that each start only slows the others. */
export const engineConcurrency = (cpus: number): number =>
  Math.min(ENGINE_CONCURRENCY_MAX, Math.max(ENGINE_CONCURRENCY_MIN, Math.floor(cpus) + 1))

/** An operation of the Engine that takes longer waits (a volume's server that is away), and holds up no other container's. */
export const ENGINE_HOLD_MS = 10_000

/** Containers stopped at the same time: it is waiting for their own end, which may be long, and Swarm signals all at once. */
export const STOP_CONCURRENCY = 256

/** How long a task that is to go waits for the word that no node sends it connections any more. */
export const ROTATION_WAIT_MAX_MS = 5000

/**
 * How long a task without a healthcheck may take to listen on its published ports before it counts as running all the same: most programs listen within a
 * fraction of it; those that never will lose no more than this.
 */
export const LISTEN_WAIT_MAX_MS = 2000

/** How long a job whose process ended waits for an Engine that is silent to say how: longer than an upgrade of it takes. */
export const EXIT_CODE_WAIT_MAX_MS = 120_000

/** How long after its grace a failed task's container may hold up its successor: one that the Engine can't end is not waited for. */
export const PREDECESSOR_MARGIN_MS = 30_000

/** States on the way to RUNNING are reported together within this time; what others wait for is reported at once. */
export const STATUS_COALESCE_MS = 250

/** Between attempts to register (swarmkit: 100 ms to 8 s). The first ones come quicker, see `backoff.ts`. */
export const SESSION_BACKOFF_MS_MIN = 100
export const SESSION_BACKOFF_MS_MAX = 8000
/** While managers answer that there is no leader an election is under way: it takes about a second. */
export const ELECTION_POLL_MS_MAX = 500

/** Connecting and being answered by one manager. */
export const REGISTER_TIMEOUT_MS = 2000

/** Between attempts to reach the local Engine. */
export const ENGINE_BACKOFF_MS_MIN = 100
export const ENGINE_BACKOFF_MS_MAX = 5000

/** Between questions whether the Engine answers; with one more open than this many times it counts as not answering. */
export const ENGINE_PING_MS = 5000
export const ENGINE_PINGS_MISSED_MAX = 1

/** Events of the Engine that wait until it has told what it runs. */
export const EARLY_EVENTS_MAX = 10_000

/** Between looks at what the Engine says of its node: plugins and labels change while it runs (swarmkit: 20 s). */
export const ENGINE_FACTS_MS = 20_000

/** While the Engine does not answer: between looks at the containers' processes. What is gone at two looks has ended. */
export const PROCESS_LOOK_MS = 1000

/**
 * A task that waits this long for an Engine that is silent is given back, since another node may have one that answers. Longer than a restart of
 * the Engine takes.
 */
export const ENGINE_ABSENT_MS = 10_000

/** After tables could not be applied the session starts anew, with complete ones, at the earliest after this time. */
export const OVERLAY_RESYNC_MS = 5000

/** Between attempts of a step that fails for no reason of the task (stop, remove, networks). */
export const CLEANUP_RETRY_MS = 1000

/** Attempts to get a task's networks from an Engine that does not make them; then the task is rejected with the reason. */
export const PREPARE_ATTEMPTS_MAX = 10

/** An event stream that lasted this long shows that the Engine is well: the next break begins with the shortest wait. */
export const ENGINE_STABLE_MS = 5000

/** A log line longer than this is cut into several. */
export const LOG_LINE_BYTES_MAX = 1024 * 1024

/** A pull that ended this recently, well or not, also counts for further tasks of the same version of a service. */
export const PULL_FRESH_MS = 5000
export const PULLS_REMEMBERED_MAX = 128

/** A session that ends sooner than this counts as a failed attempt. */
export const SESSION_SHORT_MS = 1000

/** How long a starting agent waits for the Engine before it registers without its facts. */
export const ENGINE_FIRST_WAIT_MS = 1000

/** How long somebody waits who puts a container on a network, for a leader or for the network to be known (an election takes about a second). */
export const ATTACH_WAIT_MAX_MS = 5000

/** Between attempts to attach a container. */
export const ATTACH_RETRY_MS = 200

/** A node-local network that nothing needs but a container is still on is looked at again after this time, each time twice as long, up to the latter. */
export const LOCAL_NETWORK_REMOVE_MS = 2000
export const LOCAL_NETWORK_REMOVE_MAX_MS = 300_000

/** From the start until what an earlier run left is looked for: the Engine starts containers by itself after a reboot. */
export const LOCAL_NETWORK_START_MS = 60_000
