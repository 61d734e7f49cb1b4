import type { Service } from '../../api/service.ts'
import { GROWTH_FACTOR, GROWTH_PERIOD_MS, GROWTH_TASKS } from './limits.ts'

/** What a leader remembers of a service's last minutes. */
export interface ScaleHistory {
  /** Numbers that the targets called for, within the bounds, oldest first: as old as the scale-down window. */
  proposals: readonly { atMs: number; replicas: number }[]
  /** Tasks that were added within `GROWTH_PERIOD_MS`. */
  growths: readonly { atMs: number; tasks: number }[]
}

/**
 * What a new leader starts from: that the present number was called for until now, so that it removes no tasks before it has seen a whole
 * window itself, and the stored last change.
 */
export const firstHistory = (service: Service, replicas: number, nowMs: number): ScaleHistory => {
  const last = service.Swarmctl.Autoscaled
  const grown = last === undefined ? 0 : last.To - last.From
  return {
    proposals: [{ atMs: nowMs, replicas }],
    growths: last !== undefined && grown > 0 ? [{ atMs: Date.parse(last.At), tasks: grown }] : [],
  }
}

/** Managers' clocks differ a little; what is further ahead was written by a clock that was wrong, and would hold the service for as long. */
const isWithin = (spanMs: number, atMs: number, nowMs: number): boolean =>
  Math.abs(nowMs - atMs) < spanMs

/** A copy with a new proposal, without what is too old to count. */
export const withProposal = (
  { proposals, growths }: ScaleHistory,
  replicas: number,
  nowMs: number,
  windowMs: number,
): ScaleHistory => ({
  proposals: [
    ...proposals.filter(({ atMs }) => isWithin(windowMs, atMs, nowMs)),
    { atMs: nowMs, replicas },
  ],
  growths: growths.filter(({ atMs }) => isWithin(GROWTH_PERIOD_MS, atMs, nowMs)),
})

/** A copy with a change that is made now. */
export const withChange = (
  history: ScaleHistory,
  from: number,
  to: number,
  nowMs: number,
): ScaleHistory =>
  to > from
    ? { ...history, growths: [...history.growths, { atMs: nowMs, tasks: to - from }] }
    : history

/** Fewest tasks that may be left: the most that were called for within the window. */
export const stableFloor = ({ proposals }: ScaleHistory): number =>
  Math.max(0, ...proposals.map(({ replicas }) => replicas))

/** Most tasks that may be there now, by what was added lately. */
export const growthCeiling = (current: number, { growths }: ScaleHistory): number => {
  const before = current - growths.reduce((sum, { tasks }) => sum + tasks, 0)
  return Math.max(current, before * GROWTH_FACTOR, before + GROWTH_TASKS)
}
