/** Time between two looks at what tasks use, milliseconds: a little under Kubernetes' 15 s. */
export const PERIOD_MS = 10_000
/** How long nodes may take to tell it, milliseconds; who is late counts as silent. */
export const REPORT_LIMIT_MS = 4_000
/** Two readings of a counter that are closer than this are no rate, milliseconds. */
export const RATE_SPAN_MIN_MS = 5_000
/** How far a node's clock may differ from ours over one rate, milliseconds: more, and its daemon was started anew in between. */
export const CLOCK_DRIFT_MAX_MS = 2_500
/** What was measured is of no use after this, milliseconds: two looks missed. */
export const FRESH_MS = 25_000
/** A running task that has not been measured for so long is not a new one any more, milliseconds: two readings and one missed. */
export const NEWCOMER_MS = 30_000

/** Use within this share of the target changes nothing (Kubernetes' `--horizontal-pod-autoscaler-tolerance`). */
export const TOLERANCE = 0.1
/** In each such time the number of tasks at most doubles, or grows by `GROWTH_TASKS` (Kubernetes' default policies), milliseconds. */
export const GROWTH_PERIOD_MS = 15_000
export const GROWTH_FACTOR = 2
export const GROWTH_TASKS = 4
