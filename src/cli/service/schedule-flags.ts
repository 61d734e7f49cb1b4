import { requireCronTimes, requireTimeZone } from '../../api/schedule.ts'
import type { Schedule } from '../../api/schedule-spec.ts'
import type { Draft } from './draft.ts'
import { count, durationNs, oneOf, parsed } from './flag-values.ts'
import type { ScalarFlag } from './scalar-flags.ts'

/** The draft's schedule, which then exists; the manager refuses one without a cron expression. */
const scheduleOf = (draft: Draft): Schedule => {
  draft.extension.Schedule ??= { Cron: '' }
  return draft.extension.Schedule
}

const setCron = (draft: Draft, value: string, flag: string): void => {
  if (value === '') {
    delete draft.extension.Schedule
    return
  }
  parsed(flag, value, (text) => requireCronTimes({ Cron: text }))
  scheduleOf(draft).Cron = value
}

const POLICIES = { allow: 'Allow', forbid: 'Forbid', replace: 'Replace' } as const

/** Flags of a job that runs by a schedule (ours). `--schedule` stands first, so that "" takes the whole schedule away. */
export const SCHEDULE_FLAGS: readonly ScalarFlag[] = [
  {
    flags: '--schedule <cron>',
    help: 'When a replicated-job runs: "*/5 * * * *", six fields with seconds first, or @daily; "" for no schedule (ours)',
    apply: setCron,
  },
  {
    flags: '--schedule-time-zone <zone>',
    help: 'Time zone of the schedule, such as Europe/Berlin (default UTC; ours)',
    apply: (draft, value, flag) => {
      parsed(flag, value, requireTimeZone)
      scheduleOf(draft).TimeZone = value
    },
  },
  {
    flags: '--schedule-concurrency <policy>',
    help: 'A run that is due while another is under way: allow, forbid or replace (ours)',
    apply: (draft, value, flag) => {
      const policy = oneOf('allow', 'forbid', 'replace')(flag, value.toLowerCase())
      scheduleOf(draft).ConcurrencyPolicy = POLICIES[policy]
    },
  },
  {
    flags: '--schedule-starting-deadline <duration>',
    help: 'How late a missed run may still start (default: however late; ours)',
    apply: (draft, value, flag) => {
      scheduleOf(draft).StartingDeadline = durationNs(flag, value)
    },
  },
  {
    flags: '--schedule-suspend',
    help: 'Start no run until --schedule-suspend=false (ours)',
    apply: (draft, value) => {
      scheduleOf(draft).Suspend = Boolean(value)
    },
  },
  {
    flags: '--schedule-keep-completed <n>',
    help: 'Completed runs whose tasks are kept (default 3; ours)',
    apply: (draft, value, flag) => {
      scheduleOf(draft).CompletedHistoryLimit = count(flag, value)
    },
  },
  {
    flags: '--schedule-keep-failed <n>',
    help: 'Failed runs whose tasks are kept (default 1; ours)',
    apply: (draft, value, flag) => {
      scheduleOf(draft).FailedHistoryLimit = count(flag, value)
    },
  },
]
