import { invalid } from '../errors.ts'
import { requireCronTimes } from '../schedule.ts'
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
    return undefined
  } catch (thrown) {
    return (thrown as Error).message
  }
}

/** Thrown: SwarmctlError INVALID_ARGUMENT for a schedule that can't be followed. */
export const requireSchedule = (spec: ServiceSpec): void => {
  const problem = scheduleProblem(spec)
  if (problem !== undefined) throw invalid(`Swarmctl.Schedule: ${problem}`)
}
