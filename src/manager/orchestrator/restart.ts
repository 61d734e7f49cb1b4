import { RESTART_DEFAULTS, STOP_GRACE_PERIOD_NS } from '../../api/defaults.ts'
import type { TaskSpec } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { endedByItself, hasEnded, isAssigned, isReachable, timeMs } from './task-facts.ts'

/**
 * How long a replacement waits for its predecessor to end, milliseconds, on top of the predecessor's own drain limit and stop grace
 * (swarmkit's `OldTaskTimeout`, one minute).
 */
export const OLD_TASK_TIMEOUT_MS = 60_000

const NS_PER_MS = 1_000_000

/** A task's restart policy with Docker's defaults. */
export interface RestartRules {
  condition: 'none' | 'on-failure' | 'any'
  delayMs: number
  /** 0: without limit. */
  maxAttempts: number
  /** 0: attempts count over all time. */
  windowMs: number
}

export const restartRulesOf = (spec: TaskSpec): RestartRules => {
  const policy = spec.RestartPolicy
  return {
    condition: policy?.Condition ?? RESTART_DEFAULTS.condition,
    delayMs: (policy?.Delay ?? RESTART_DEFAULTS.delayNs) / NS_PER_MS,
    maxAttempts: policy?.MaxAttempts ?? RESTART_DEFAULTS.maxAttempts,
    windowMs: (policy?.Window ?? RESTART_DEFAULTS.windowNs) / NS_PER_MS,
  }
}

/**
 * Whether the slot's last task gets a successor. Attempts are read from the slot's history: the tasks of the same spec version that
 * ended by themselves before this one. With a window only those count that ended within it, looking back from this one's end, so the
 * answer does not change while time passes.
 */
export const shouldRestart = (task: Task, history: readonly Task[], isGlobal: boolean): boolean => {
  const rules = restartRulesOf(task.Spec)
  // A job is done when it completed: `any` is `on-failure` for it, as in swarmkit.
  if (task.JobIteration !== undefined && task.Status.State === 'complete') return false
  if (!endedByItself(task)) {
    // A global service's task that went with its node is wanted again when the node is back, as swarmkit's global orchestrator does.
    return isGlobal || rules.condition !== 'none'
  }
  if (rules.condition === 'none') return false
  if (rules.condition === 'on-failure' && task.Status.State === 'complete') return false
  if (rules.maxAttempts === 0) return true
  const endMs = endOf(task)
  const restarts = history.filter(
    (other) =>
      other.ID !== task.ID &&
      endedByItself(other) &&
      other.Swarmctl.SpecVersion === task.Swarmctl.SpecVersion &&
      (rules.windowMs === 0 || endOf(other) > endMs - rules.windowMs),
  )
  return restarts.length < rules.maxAttempts
}

/**
 * When the task's successor may start: after the policy's delay when it ended by itself, else at once. One that ended before it was to
 * start counts from then.
 */
export const restartAtMs = (task: Task, nowMs: number): number => {
  if (!endedByItself(task)) return 0
  // While it is still wanted its end was the last that was written, by the leader's clock. The node's clock may be off.
  const endMs = isWanted(task.DesiredState)
    ? timeMs(task.UpdatedAt)
    : Math.min(endOf(task), timeMs(task.UpdatedAt))
  // An end that is still to come was written by a clock that was ahead of this one: the delay counts from now.
  const fromMs = Math.max(Math.min(endMs, nowMs), delayedUntilMs(task, nowMs))
  return fromMs + restartRulesOf(task.Spec).delayMs
}

/** Managers' clocks may differ this much, milliseconds; more is taken for a clock that was set. */
const CLOCK_SKEW_MS = 5000

/**
 * When the task's delay is over, `0` when it is. A task from the future was made before the clock was set back, or by a leader whose clock
 * was wrong: nobody waits for that time to come.
 */
export const delayedUntilMs = (
  task: Pick<Task, 'CreatedAt' | 'Swarmctl'>,
  nowMs: number,
): number => {
  const untilMs = timeMs(task.Swarmctl.StartAt)
  return untilMs > nowMs && timeMs(task.CreatedAt) <= nowMs + CLOCK_SKEW_MS ? untilMs : 0
}

/** When the task ended, as its node said; without that, when it was written. */
const endOf = (task: Task): number => timeMs(task.Status.Timestamp) || timeMs(task.UpdatedAt)

/**
 * When a task with desired state `ready` may be told to run: `0` now, else the time to look again (an event may come sooner). It waits
 * for its delay, and until what it replaces has ended or can't be waited for.
 */
export const startableAtMs = (
  task: Pick<Task, 'ID' | 'CreatedAt' | 'Swarmctl'>,
  slot: Slot,
  lost: ReadonlySet<string>,
  state: ServiceState,
): number => {
  const delayedUntil = delayedUntilMs(task, state.nowMs)
  if (delayedUntil > 0) return delayedUntil
  let until = 0
  for (const other of slot.tasks) {
    if (other.ID === task.ID || !isBlocking(other, lost, state)) continue
    until = Math.max(until, timeMs(task.CreatedAt) + stopLimitMs(other))
  }
  return until > state.nowMs ? until : 0
}

/** Whether it was told to stop and, as far as anyone knows, still runs. */
const isBlocking = (task: Task, lost: ReadonlySet<string>, state: ServiceState): boolean =>
  (task.DesiredState === 'shutdown' || lost.has(task.ID)) &&
  !hasEnded(task) &&
  isAssigned(task) &&
  isReachable(state.nodes.get(task.NodeID))

const stopLimitMs = (task: Task): number => {
  const graceNs = task.Spec.ContainerSpec?.StopGracePeriod ?? STOP_GRACE_PERIOD_NS
  return OLD_TASK_TIMEOUT_MS + (task.Swarmctl.DrainLimit + graceNs) / NS_PER_MS
}
