import { nextDueMs, SCHEDULE_DEFAULTS } from '../../api/schedule.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import { isTroubled, type ServiceFacts } from './facts.ts'
import { span } from './span.ts'

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
  ]
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
