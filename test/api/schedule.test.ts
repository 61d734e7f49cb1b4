import t from 'tap'
import { latestDueMs, nextDueMs, requireCronTimes } from '../../src/api/schedule.ts'
import { parseServiceSpec } from '../../src/api/validate/service.ts'

const ms = (text: string): number => Date.parse(text)
const text = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString().replace(':00.000Z', 'Z')

t.test('when a schedule is due next, and was last', async (t) => {
  const cases: [string, string | undefined, string, string, string][] = [
    ['*/5 * * * *', undefined, '2026-11-28T22:01Z', '2026-11-28T22:05Z', '2026-11-28T22:00Z'],
    ['5/15 * * * *', undefined, '2026-11-28T22:06Z', '2026-11-28T22:20Z', '2026-11-28T22:05Z'],
    ['@daily', undefined, '2026-11-28T22:01Z', '2026-11-29T00:00Z', '2026-11-28T00:00Z'],
    ['@weekly', undefined, '2026-11-28T22:01Z', '2026-11-29T00:00Z', '2026-11-22T00:00Z'],
    ['0 0 * * 7', undefined, '2026-11-28T22:01Z', '2026-11-29T00:00Z', '2026-11-22T00:00Z'],
    ['0 0 * * MON-FRI', undefined, '2026-11-28T22:01Z', '2026-11-30T00:00Z', '2026-11-27T00:00Z'],
    // Both days given: one of them is enough.
    ['0 0 13 * 5', undefined, '2026-12-11T01:00Z', '2026-12-13T00:00Z', '2026-12-11T00:00Z'],
    // Each day is every day, so that the other field decides.
    ['0 0 */1 * 1', undefined, '2026-11-28T22:01Z', '2026-11-30T00:00Z', '2026-11-23T00:00Z'],
    ['0 0 1 * ?/1', undefined, '2026-11-28T22:01Z', '2026-12-01T00:00Z', '2026-11-01T00:00Z'],
    ['0 0 29 2 *', undefined, '2026-11-28T22:01Z', '2028-02-29T00:00Z', '2024-02-29T00:00Z'],
    ['0 3 * * *', 'Europe/Berlin', '2026-07-01T12:00Z', '2026-07-02T01:00Z', '2026-07-01T01:00Z'],
    ['0 3 * * *', 'Europe/Berlin', '2026-12-01T12:00Z', '2026-12-02T02:00Z', '2026-12-01T02:00Z'],
    // 02:30 does not exist on this day, and exists twice on that one.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T22:00Z', '2026-03-29T01:00Z', '2026-03-28T01:30Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T23:10Z', '2026-10-25T00:30Z', '2026-10-24T00:30Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T01:35Z', '2026-10-26T01:30Z', '2026-10-25T00:30Z'],
  ]
  for (const [Cron, TimeZone, now, next, last] of cases) {
    const times = { Cron, ...(TimeZone && { TimeZone }) }
    t.equal(text(nextDueMs(times, ms(now))), next, `${Cron} after ${now}`)
    t.equal(text(latestDueMs(times, ms(now))), last, `${Cron} before ${now}`)
  }
})

t.test('a due time is the last one from itself on, and the next one until then', async (t) => {
  const times = { Cron: '* * * * *' }
  const due = ms('2026-11-28T22:05:00.000Z')
  t.equal(latestDueMs(times, due), due)
  t.equal(latestDueMs(times, due - 1), due - 60_000)
  t.equal(nextDueMs(times, due), due + 60_000)
  t.equal(nextDueMs(times, due - 1), due)
  t.equal(latestDueMs({ Cron: '*/2 * * * * *' }, due + 2500), due + 2000, 'six fields: seconds')
})

t.test('what is no schedule is told in one line', async (t) => {
  const wants =
    'is no schedule: write five fields such as "*/5 * * * *", six with seconds first, or @daily'
  const cases: [string, string | undefined, string | RegExp][] = [
    ['', undefined, `"" ${wants}`],
    ['* * * *', undefined, `"* * * *" ${wants}`],
    ['* * * * * * *', undefined, `"* * * * * * *" ${wants}`],
    ['2026-11-30T00:00:00', undefined, `"2026-11-30T00:00:00" ${wants}`],
    ['@every 5m', undefined, `"@every 5m" ${wants}`],
    ['@often', undefined, /^"@often" is no schedule: .+/],
    ['60 * * * *', undefined, /^"60 \* \* \* \*" is no schedule: Invalid value for minute: 60$/],
    ['TZ=UTC 0 0 * * *', undefined, /is no schedule: .*illegal characters/],
    ['0 0 30 2 *', undefined, '"0 0 30 2 *" is never due'],
    ['@daily', 'Nowhere/X', '"Nowhere/X" is no time zone: write one such as Europe/Berlin'],
    ['@daily', 'Local', '"Local" is no time zone: write one such as Europe/Berlin'],
    ['@daily', '', '"" is no time zone: write one such as Europe/Berlin'],
  ]
  for (const [Cron, TimeZone, message] of cases) {
    const times = { Cron, ...(TimeZone !== undefined && { TimeZone }) }
    t.throws(() => requireCronTimes(times), { message }, `${Cron} ${TimeZone ?? ''}`)
  }
  requireCronTimes({ Cron: ' 0 0 * * * ', TimeZone: 'America/New_York' })
})

t.test('a schedule of a service', async (t) => {
  const spec = (Schedule: unknown, Mode: unknown = { ReplicatedJob: {} }) => ({
    Name: 'backup',
    TaskTemplate: { ContainerSpec: { Image: 'backup' } },
    Mode,
    Swarmctl: { Schedule },
  })
  const whole = {
    Cron: '0 3 * * *',
    TimeZone: 'Europe/Berlin',
    ConcurrencyPolicy: 'Forbid',
    StartingDeadline: 60e9,
    Suspend: true,
    CompletedHistoryLimit: 5,
    FailedHistoryLimit: 0,
  }
  t.strictSame(parseServiceSpec(spec(whole)).Swarmctl?.Schedule, whole, 'kept as it was sent')
  const refused = (schedule: unknown, message: string | RegExp, mode?: unknown) =>
    t.throws(() => parseServiceSpec(spec(schedule, mode)), { code: 'INVALID_ARGUMENT', message })
  refused(whole, 'Swarmctl.Schedule: a schedule needs the mode replicated-job', { Global: {} })
  refused(whole, 'Swarmctl.Schedule: a schedule needs the mode replicated-job', { GlobalJob: {} })
  refused({ Cron: '61 * * * *' }, /^Swarmctl\.Schedule: "61 \* \* \* \*" is no schedule/)
  refused({ Cron: '@daily', TimeZone: 'X' }, /^Swarmctl\.Schedule: "X" is no time zone/)
  for (const field of ['CompletedHistoryLimit', 'FailedHistoryLimit']) {
    const most = { Cron: '@daily', [field]: 1_000 }
    t.strictSame(parseServiceSpec(spec(most)).Swarmctl?.Schedule, most)
    refused(
      { Cron: '@daily', [field]: 1_001 },
      `Swarmctl.Schedule: ${field}: 1001 runs are too many to keep: at most 1000`,
    )
  }
  refused({}, /Swarmctl\.Schedule\.Cron/)
  refused({ Cron: '@daily', ConcurrencyPolicy: 'Maybe' }, /Swarmctl\.Schedule\.ConcurrencyPolicy/)
  refused({ Cron: '@daily', StartingDeadline: -1 }, /Swarmctl\.Schedule\.StartingDeadline/)
})
