import type { ScheduleStatus } from '../../api/schedule.ts'
import type { Service } from '../../api/service.ts'
import { isJob } from '../../api/service-defaults.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { nextIteration } from '../orchestrator/next-iteration.ts'

/** A job runs when it is created, unless it has a schedule: then its first run comes when it is due. */
export const newJobStatus = (spec: ServiceSpec, now: string): Pick<Service, 'JobStatus'> => {
  if (!isJob(spec)) return {}
  const JobIteration = { Index: 0 }
  return {
    JobStatus: hasSchedule(spec) ? { JobIteration } : { JobIteration, LastExecution: now },
  }
}

/** What was due before the service existed is not made up for. */
export const newScheduleStatus = (
  spec: ServiceSpec,
  now: string,
): { ScheduleStatus?: ScheduleStatus } =>
  hasSchedule(spec) ? { ScheduleStatus: { Since: now } } : {}

/** The updated service with what the update means for its runs. */
export const afterUpdate = (old: Service, updated: Service, now: string): Service => {
  const { ScheduleStatus: status, ...ours } = updated.Swarmctl
  const next = nextStatus(old.Spec, updated.Spec, status, now)
  return {
    ...updated,
    ...(updated.JobStatus !== undefined &&
      runsNow(old.Spec, updated.Spec) && {
        JobStatus: nextIteration(updated.JobStatus, now),
      }),
    Swarmctl: { ...ours, ...(next && { ScheduleStatus: next }) },
  }
}

/** Each update of a job runs it anew. One with a schedule is run out of turn only when the update forces it. */
const runsNow = (old: ServiceSpec, spec: ServiceSpec): boolean =>
  !hasSchedule(spec) || (spec.TaskTemplate.ForceUpdate ?? 0) !== (old.TaskTemplate.ForceUpdate ?? 0)

/** Another schedule has missed nothing yet. To be suspended and resumed is no other schedule. */
const nextStatus = (
  old: ServiceSpec,
  spec: ServiceSpec,
  status: ScheduleStatus | undefined,
  now: string,
): ScheduleStatus | undefined => {
  if (!hasSchedule(spec)) return undefined
  const isSame = timesOf(old) === timesOf(spec)
  return isSame && status !== undefined ? status : { ...status, Since: now }
}

/** An update that names no `Swarmctl`, by a path without a version of Docker's API, takes the schedule away: that is told. */
export const scheduleLoss = (old: ServiceSpec, spec: ServiceSpec): string[] =>
  hasSchedule(old) && spec.Swarmctl === undefined
    ? ['the request has no Swarmctl.Schedule: the job runs now, and by no schedule any more']
    : []

const hasSchedule = (spec: ServiceSpec): boolean => spec.Swarmctl?.Schedule !== undefined

const timesOf = ({ Swarmctl }: ServiceSpec): string | undefined =>
  Swarmctl?.Schedule && `${Swarmctl.Schedule.TimeZone ?? ''} ${Swarmctl.Schedule.Cron}`
