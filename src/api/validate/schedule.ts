import { invalid } from '../errors.ts'
import { requireCronTimes, requireHistoryLimit } from '../schedule.ts'
import type { ServiceSpec } from '../service-spec.ts'

/** What keeps a service's schedule from being followed, in one line. */
export const scheduleProblem = ({
  Swarmctl,
  Mode,
}: Pick<ServiceSpec, 'Swarmctl' | 'Mode'>): string | undefined => {
  const schedule = Swarmctl?.Schedule
  if (schedule === undefined) return undefined
  if (Mode?.ReplicatedJob === undefined) return 'a schedule needs the mode replicated-job'
  try {
    requireCronTimes(schedule)
  } catch (thrown) {
    return (thrown as Error).message
  }
  for (const field of ['CompletedHistoryLimit', 'FailedHistoryLimit'] as const) {
    try {
      requireHistoryLimit(schedule[field] ?? 0)
    } catch (thrown) {
      return `${field}: ${(thrown as Error).message}`
    }
  }
  return undefined
}

/** Thrown: SwarmctlError INVALID_ARGUMENT for a schedule that can't be followed. */
export const requireSchedule = (spec: ServiceSpec): void => {
  const problem = scheduleProblem(spec)
  if (problem !== undefined) throw invalid(`Swarmctl.Schedule: ${problem}`)
}
