import { Cron } from 'croner'
import type { Schedule } from './schedule-spec.ts'

/** Where a service's schedule stands. */
export interface ScheduleStatus {
  /** RFC 3339: what was due before does not count, since this schedule was not in force. */
  Since: string
  /** RFC 3339: the due time of the last run that was started because of it. */
  LastDue?: string
}

/** Kubernetes' defaults (CronJob API, batch/v1). */
export const SCHEDULE_DEFAULTS = {
  timeZone: 'UTC',
  concurrencyPolicy: 'Allow',
  completedHistoryLimit: 3,
  failedHistoryLimit: 1,
} as const

/** The most runs whose tasks are kept, of those that completed and of those that failed: every manager has them in memory. */
export const RUN_HISTORY_MAX = 1_000

/** Thrown: an Error that says so when more than that is asked for. */
export const requireHistoryLimit = (limit: number): void => {
  if (limit > RUN_HISTORY_MAX)
    throw new Error(`${limit} runs are too many to keep: at most ${RUN_HISTORY_MAX}`)
}

/** When something is due. */
type CronTimes = Pick<Schedule, 'Cron' | 'TimeZone'>

const MACRO = /^@\w+$/
const FIELDS_MIN = 5
const FIELDS_MAX = 6

/** Thrown: an Error that says so when there is no such zone. */
export const requireTimeZone = (timeZone: string): void => {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch (cause) {
    throw new Error(`"${timeZone}" is no time zone: write one such as Europe/Berlin`, { cause })
  }
}

/** Thrown: an Error that says what is wrong with the expression or the zone. */
export const requireCronTimes = (times: CronTimes): void => {
  const { Cron: text, TimeZone = SCHEDULE_DEFAULTS.timeZone } = times
  requireTimeZone(TimeZone)
  const fieldCount = text.trim().split(/\s+/).length
  if (!MACRO.test(text.trim()) && (fieldCount < FIELDS_MIN || fieldCount > FIELDS_MAX)) {
    throw new Error(
      `"${text}" is no schedule: write five fields such as "*/5 * * * *", six with seconds first, or @daily`,
    )
  }
  let firstMs: number | undefined
  try {
    firstMs = nextDueMs(times, 0)
  } catch (thrown) {
    const reason = (thrown as Error).message.replace(/^CronPattern: /, '')
    throw new Error(`"${text}" is no schedule: ${reason}`, { cause: thrown })
  }
  if (firstMs === undefined) throw new Error(`"${text}" is never due`)
}

/** The first time after `afterMs` (milliseconds since the epoch); undefined when there is none. */
export const nextDueMs = (times: CronTimes, afterMs: number): number | undefined =>
  parse(times).nextRun(new Date(afterMs))?.getTime()

/** The last time until `atMs`, that included; undefined when there is none. */
export const latestDueMs = (times: CronTimes, atMs: number): number | undefined =>
  // The library looks for a time before the one that it is given.
  parse(times)
    .previousRuns(1, new Date(atMs + 1))[0]
    ?.getTime()

/** `*` in other words (robfig/cron, and so Kubernetes): the library takes it for a choice of days, beside which the other field of days is another. */
const EACH = /(?<=^|\s)[*?]\/0*1(?=\s|$)/g

/** Without a function to run it sets no timer. `5/15` is `5-59/15`, as for Kubernetes. */
const parse = ({ Cron: text, TimeZone }: CronTimes): Cron =>
  new Cron(text.trim().replace(EACH, '*'), {
    mode: '5-or-6-parts',
    sloppyRanges: true,
    timezone: TimeZone ?? SCHEDULE_DEFAULTS.timeZone,
  })
