import { nextDueMs } from '../api/schedule.ts'
import type { Service } from '../api/service.ts'

/** When the service's next run is due, as RFC 3339, or why there is none. */
export const nextRunText = ({ Spec }: Service, nowMs: number): string => {
  const schedule = Spec.Swarmctl?.Schedule
  if (schedule === undefined) return 'it has no schedule'
  if (schedule.Suspend === true) return 'none, the schedule is suspended'
  const nextMs = nextDueMs(schedule, nowMs)
  return nextMs === undefined ? 'never' : new Date(nextMs).toISOString()
}
