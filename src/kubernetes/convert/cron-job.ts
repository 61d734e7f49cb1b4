import { requireCronTimes, requireHistoryLimit, requireTimeZone } from '../../api/schedule.ts'
import type { Schedule } from '../../api/schedule-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { CronJob } from '../schema/objects.ts'

const NS_PER_SECOND = 1e9

/** Where a CronJob has the Job that it starts. */
export const JOB_TEMPLATE: readonly string[] = ['spec', 'jobTemplate']

/** When a CronJob's runs start. Thrown: ManifestProblem. */
export const convertSchedule = ({ spec }: CronJob): Schedule => {
  const { schedule, timeZone, concurrencyPolicy, startingDeadlineSeconds, suspend } = spec
  const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = spec
  if (timeZone !== undefined) at(['spec', 'timeZone'], () => requireTimeZone(timeZone))
  at(['spec', 'schedule'], () => {
    requireCronTimes({ Cron: schedule })
    // Kubernetes knows no seconds: who writes six fields does not mean them.
    if (schedule.trim().split(/\s+/).length > 5) throw new Error('must have five fields')
  })
  const limits = { successfulJobsHistoryLimit, failedJobsHistoryLimit }
  for (const [name, limit = 0] of Object.entries(limits)) {
    at(['spec', name], () => requireHistoryLimit(limit))
  }
  return {
    Cron: schedule,
    ...(timeZone !== undefined && { TimeZone: timeZone }),
    ...(concurrencyPolicy !== undefined && { ConcurrencyPolicy: concurrencyPolicy }),
    ...(startingDeadlineSeconds !== undefined && {
      StartingDeadline: startingDeadlineSeconds * NS_PER_SECOND,
    }),
    ...(suspend !== undefined && { Suspend: suspend }),
    ...(successfulJobsHistoryLimit !== undefined && {
      CompletedHistoryLimit: successfulJobsHistoryLimit,
    }),
    ...(failedJobsHistoryLimit !== undefined && { FailedHistoryLimit: failedJobsHistoryLimit }),
  }
}

const at = (path: string[], check: () => void): void => {
  try {
    check()
  } catch (thrown) {
    throw new ManifestProblem(path, (thrown as Error).message)
  }
}
