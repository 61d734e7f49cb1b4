import { latestDueMs, nextDueMs, SCHEDULE_DEFAULTS } from '../../api/schedule.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import { isTroubled, type ServiceFacts } from './facts.ts'
import { span } from './span.ts'

const NS_PER_MS = 1e6

/** When a job that runs by a schedule ran and will run, one sentence each; none for other services. */
export const scheduleSentences = ({ service, nowMs }: ServiceFacts): string[] => {
  const schedule = service.Spec.Swarmctl?.Schedule
  if (schedule === undefined) return []
  const { Cron, TimeZone = SCHEDULE_DEFAULTS.timeZone, Suspend } = schedule
  const last = service.JobStatus?.LastExecution
  const nextMs = Suspend === true ? undefined : nextDueMs(schedule, nowMs)
  const name = service.Spec.Name
  return [
    Suspend === true
      ? `its schedule "${Cron}" is suspended: "swarmctl service update --schedule-suspend=false ${name}" resumes it`
      : `it runs by the schedule "${Cron}" (${TimeZone}), ${nextMs === undefined ? 'and is never due' : `next in ${span(nextMs - nowMs)}, at ${new Date(nextMs).toISOString()}`}`,
    last === undefined
      ? 'it has not run yet'
      : `its last run started ${span(nowMs - Date.parse(last))} ago`,
    ...heldBack(service, nowMs),
  ]
}

/** A run that was due and has not started: it waits for the one before it, or came too late. */
const heldBack = ({ Spec, Swarmctl }: Service, nowMs: number): string[] => {
  const schedule = Spec.Swarmctl?.Schedule
  if (schedule === undefined || schedule.Suspend === true) return []
  const { LastDue = '', Since = '' } = Swarmctl.ScheduleStatus ?? {}
  const afterMs = Math.max(Date.parse(LastDue) || 0, Date.parse(Since) || 0)
  const dueMs = latestDueMs(schedule, nowMs) ?? 0
  if (dueMs <= afterMs) return []
  const lateMs = nowMs - dueMs
  const limitMs = (schedule.StartingDeadline ?? Infinity) / NS_PER_MS
  const run = `the run that was due ${span(lateMs)} ago`
  if (lateMs > limitMs) return [`${run} was missed: it could not start within ${span(limitMs)}`]
  return schedule.ConcurrencyPolicy === 'Forbid'
    ? [`${run} waits until the one under way ends`]
    : []
}

/** Whether the last run of a job with a schedule ended well, or goes on so; before the first all is well. */
export const isLastRunWell = (service: Service, tasks: readonly Task[]): boolean => {
  const iteration = service.JobStatus?.JobIteration.Index
  const own = tasks.filter(({ JobIteration }) => JobIteration?.Index === iteration)
  const slots = Map.groupBy(own, ({ Slot }) => Slot)
  return [...slots.values()].every((slot) =>
    slot.some((task) => isWanted(task.DesiredState) && !isTroubled(task)),
  )
}
