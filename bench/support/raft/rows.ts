import type { Load, Operation } from './job.ts'

const WARM_UP_MS = 1_000
const MEASURE_MS = 3_000

/** A load on both sides, compared by operations per second. */
export interface LoadRow {
  readonly kind: 'load'
  readonly name: string
  readonly title: string
  readonly load: Load
  /** swarmctl's rate divided by etcd's: at least, and what it aims at. */
  readonly ratioMin: number
  readonly ratioAim: number
}

/** Something else: each has its own code. */
export interface OtherRow {
  readonly kind: 'failover' | 'core' | 'snapshot' | 'start' | 'memory'
  readonly name: string
  readonly title: string
}

export type Row = LoadRow | OtherRow

const loadRow = (
  operation: Operation,
  title: string,
  clients: number,
  [ratioMin, ratioAim]: readonly [number, number],
): LoadRow => ({
  kind: 'load',
  name: `${{ put: 'write', get: 'read', 'http-put': 'http', churn: 'churn' }[operation]}-${clients}`,
  title: `${title}, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
  load: { operation, clients, warmUpMs: WARM_UP_MS, measureMs: MEASURE_MS },
  ratioMin,
  ratioAim,
})

/** In the order in which they are measured; issue-independent names for `--rows`. */
export const ROWS: readonly Row[] = [
  loadRow('put', 'write', 1, [1.2, 1.6]),
  loadRow('put', 'write', 16, [3, 5]),
  loadRow('put', 'write', 64, [4, 7]),
  loadRow('put', 'write', 256, [5, 10]),
  loadRow('get', 'linearizable read', 64, [2, 5]),
  loadRow('http-put', 'write by HTTP and JSON', 64, [1.5, 1.5]),
  { kind: 'core', name: 'core', title: 'the consensus core alone' },
  { kind: 'failover', name: 'failover', title: 'SIGKILL of the leader → first write' },
  { kind: 'start', name: 'start', title: 'start with 100,000 objects' },
  { kind: 'snapshot', name: 'snapshot', title: 'snapshot of 100,000 tasks to a new manager' },
  { kind: 'memory', name: 'memory', title: 'memory with a follower down' },
]

/** Before the first row of each side: servers that run for months are not measured by their first seconds. */
export const STEADY_LOAD: Load = { operation: 'put', clients: 64, warmUpMs: 0, measureMs: 6_000 }

/** What runs without `--rows`: the long command about memory does not. */
export const DEFAULT_ROWS = ROWS.filter(({ kind }) => kind !== 'memory')
