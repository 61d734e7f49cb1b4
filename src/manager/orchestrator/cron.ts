import { latestDueMs, nextDueMs, SCHEDULE_DEFAULTS } from '../../api/schedule.ts'
import type { Schedule } from '../../api/schedule-spec.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { Plan } from './operation.ts'
import { timeMs } from './task-facts.ts'

/** A run that starts this late starts on time, milliseconds: a timer is never exact, and a deadline of 0 would forbid every run. */
const ON_TIME_MS = 1000

/** Managers' clocks may differ this much, milliseconds; a last run or a schedule's beginning further ahead was written by a clock that was wrong. */
const CLOCK_SKEW_MS = 5000

/** Runs of one service that may be under way at a time with `Allow`: with more, a due one waits as with `Forbid`. */
export const RUNS_AT_ONCE_MAX = 20

const NS_PER_MS = 1_000_000

/** What is known of a schedule when it is to be decided whether a run starts. */
export interface CronState {
  schedule: Schedule
  /** Of the last run that was started, or when the schedule came into force; milliseconds. */
  afterMs: number
  /** Runs under way. */
  runCount: number
  nowMs: number
}

/** `start` names the time that the run is due at, `wait` when to look again. Milliseconds. */
export type CronDecision = { kind: 'start'; dueMs: number } | { kind: 'wait'; untilMs?: number }

/**
 * Whether a run starts now. As Kubernetes' CronJob has it: of all that was missed only the latest is made up for, and only within the
 * starting deadline; what `Forbid` holds back counts as missed, so that it starts when the run before it ends.
 */
export const decideRun = ({ schedule, afterMs, runCount, nowMs }: CronState): CronDecision => {
  // To be resumed is a change of the service, which is looked at then.
  if (schedule.Suspend === true) return { kind: 'wait' }
  const dueMs = latestDueMs(schedule, nowMs)
  const isStartable =
    dueMs !== undefined &&
    dueMs > afterMs &&
    nowMs - dueMs <= lateLimitMs(schedule) &&
    mayBegin(schedule, runCount)
  if (isStartable) return { kind: 'start', dueMs }
  const nextMs = nextDueMs(schedule, nowMs)
  return nextMs === undefined ? { kind: 'wait' } : { kind: 'wait', untilMs: nextMs }
}

const lateLimitMs = ({ StartingDeadline }: Schedule): number =>
  StartingDeadline === undefined ? Infinity : Math.max(StartingDeadline / NS_PER_MS, ON_TIME_MS)

const mayBegin = (schedule: Schedule, runCount: number): boolean => {
  const policy = schedule.ConcurrencyPolicy ?? SCHEDULE_DEFAULTS.concurrencyPolicy
  switch (policy) {
    case 'Allow':
      return runCount < RUNS_AT_ONCE_MAX
    case 'Forbid':
      return runCount === 0
    case 'Replace':
      return true
    default:
      return policy satisfies never
  }
}

/** Starts the run of a scheduled job that is due, or says when to look again. `active` are the tasks of its runs that are wanted. */
export const planCron = (service: Service, active: readonly Task[], nowMs: number): Plan => {
  const schedule = service.Spec.Swarmctl?.Schedule
  const status = service.Swarmctl.ScheduleStatus
  if (schedule === undefined || status === undefined) return { operations: [] }
  const knownMs = Math.max(timeMs(status.LastDue), timeMs(status.Since))
  const isOfWrongClock = knownMs > nowMs + CLOCK_SKEW_MS
  // Then nothing is known of what was missed: only what is due now counts.
  const afterMs = isOfWrongClock ? nowMs - ON_TIME_MS : knownMs
  const decision = decideRun({ schedule, afterMs, runCount: runsOf(active).size, nowMs })
  if (decision.kind === 'wait') return { operations: [], wakeAtMs: decision.untilMs }
  return {
    operations: [
      {
        kind: 'start-run',
        serviceId: service.ID,
        specVersion: service.Swarmctl.SpecVersion,
        lastDue: status.LastDue,
        due: new Date(decision.dueMs).toISOString(),
        now: new Date(nowMs).toISOString(),
      },
    ],
  }
}

const runsOf = (active: readonly Task[]): Set<number> =>
  new Set(
    active
      .filter((task) => task.Status.State !== 'complete')
      .map((task) => task.JobIteration?.Index ?? 0),
  )
