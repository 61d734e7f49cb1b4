/** Task states in their order (swarmkit `api/types.proto`, 64 apart): a task only ever moves forward. */
export const TASK_STATE_ORDER = {
  new: 0,
  allocated: 64,
  pending: 64,
  assigned: 192,
  accepted: 256,
  preparing: 320,
  ready: 384,
  starting: 448,
  running: 512,
  complete: 576,
  shutdown: 640,
  failed: 704,
  rejected: 768,
  remove: 800,
  orphaned: 832,
} as const

/** The Engine API's lower-case name of a task's state, observed or desired. */
export type TaskState = keyof typeof TASK_STATE_ORDER

/** Negative when `a` comes before `b`. */
export const compareTaskStates = (a: TaskState, b: TaskState): number =>
  TASK_STATE_ORDER[a] - TASK_STATE_ORDER[b]

/** Whether a task in this state has ended for good (complete or later). */
export const isTerminal = (state: TaskState): boolean =>
  TASK_STATE_ORDER[state] >= TASK_STATE_ORDER.complete

/** Whether a task with this desired state is wanted to run (READY or RUNNING, or COMPLETE for jobs). */
export const isWanted = (desired: TaskState): boolean =>
  TASK_STATE_ORDER[desired] <= TASK_STATE_ORDER.complete
