/** Docker's defaults (swarmkit `api/defaults/service.go`), and ours where Swarm has no such field. */

const secondNs = 1_000_000_000

export const RESTART_DEFAULTS = {
  condition: 'any',
  delayNs: 5 * secondNs,
  /** 0: without limit. */
  maxAttempts: 0,
  /** 0: attempts are counted over all time. */
  windowNs: 0,
} as const

export const UPDATE_DEFAULTS = {
  parallelism: 1,
  delayNs: 0,
  failureAction: 'pause',
  monitorNs: 5 * secondNs,
  maxFailureRatio: 0,
  order: 'stop-first',
} as const

/** From SIGTERM to SIGKILL. */
export const STOP_GRACE_PERIOD_NS = 10 * secondNs

/** Old tasks kept per slot. */
export const TASK_HISTORY_RETENTION_LIMIT = 5

/** Design §8: how long established connections may go on after the endpoint left rotation. */
export const DRAIN_LIMIT_NS = 30 * secondNs

/** Kubernetes' defaults of a HorizontalPodAutoscaler. */
export const AUTOSCALE_MIN = 1
export const SCALE_DOWN_WINDOW_NS = 300 * secondNs
/** Its longest window. */
export const SCALE_DOWN_WINDOW_MAX_NS = 3600 * secondNs

/** Published ports that the allocator hands out (swarmkit's range). */
export const DYNAMIC_PORTS = { first: 30_000, last: 32_767 } as const

/** Ports of one service, published on nodes or by the mesh: each is a listener or a rule on every node, and stored three times with its service. */
export const PORTS_MAX = 4096

/** Docker's pool; each overlay gets a /16 of it (design §8). */
export const DEFAULT_ADDR_POOL = ['10.0.0.0/8'] as const
export const DEFAULT_SUBNET_SIZE = 16
/** Of pools that the user names: Docker's size, so that a pool such as a /16 has room for as many networks as in Swarm. */
export const GIVEN_POOLS_SUBNET_SIZE = 24

/** Data limits (swarmkit `manager/controlapi`), bytes. */
export const SECRET_BYTES_MAX = 500 * 1024
export const CONFIG_BYTES_MAX = 1000 * 1024

/** Agents' heartbeats (design §6). */
export const HEARTBEAT_PERIOD_MS = 1000
export const HEARTBEATS_MISSED_MAX = 3
