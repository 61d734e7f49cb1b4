import { invalid } from '../errors.ts'
import { requireCronTimes } from '../schedule.ts'
import type { ServiceSpec } from '../service-spec.ts'

/** Thrown: SwarmctlError INVALID_ARGUMENT for a schedule that can't be followed. */
export const requireSchedule = ({ Swarmctl, Mode }: ServiceSpec): void => {
  const schedule = Swarmctl?.Schedule
  if (schedule === undefined) return
  if (Mode?.ReplicatedJob === undefined) {
    throw invalid('Swarmctl.Schedule: a schedule needs the mode replicated-job')
  }
  try {
    requireCronTimes(schedule)
  } catch (thrown) {
    throw invalid(`Swarmctl.Schedule: ${(thrown as Error).message}`)
  }
}
