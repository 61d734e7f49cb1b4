import t from 'tap'
import type { Schedule } from '../../../src/api/schedule-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import { isTerminal } from '../../../src/api/task-state.ts'
import { decideRun, RUNS_AT_ONCE_MAX } from '../../../src/manager/orchestrator/cron.ts'
import { applyOperation } from '../../../src/manager/orchestrator/operation.ts'
import { type SpecChange, World } from '../../support/orchestration/world.ts'

const MINUTE = 60_000
const noon = Date.parse('2026-06-01T12:00:00.000Z')

t.test('whether a run starts', async (t) => {
  const decide = (
    schedule: Partial<Schedule>,
    { afterMs = noon - MINUTE, runCount = 0, nowMs = noon } = {},
  ): string => {
    const decision = decideRun({
      schedule: { Cron: '*/5 * * * *', ...schedule },
      afterMs,
      runCount,
      nowMs,
    })
    const at = decision.kind === 'start' ? decision.dueMs : decision.untilMs
    return `${decision.kind} ${at === undefined ? 'never' : (at - noon) / MINUTE}`
  }
  t.equal(decide({}), 'start 0', 'on time')
  t.equal(decide({}, { nowMs: noon + 4 * MINUTE }), 'start 0', 'late, without a deadline')
  t.equal(decide({}, { nowMs: noon - 1 }), 'wait 0', 'not yet')
  t.equal(decide({}, { afterMs: noon }), 'wait 5', 'started already')
  t.equal(decide({}, { afterMs: noon + 10 }), 'wait 5', 'the schedule is newer than this time')
  t.equal(decide({}, { nowMs: noon + 1000 * MINUTE }), 'start 1000', 'of many the latest')
  t.equal(decide({ Suspend: true }), 'wait never', 'looked at again when it is resumed')

  const deadline = { StartingDeadline: 90e9 }
  t.equal(decide(deadline, { nowMs: noon + 90_000 }), 'start 0', 'within the deadline')
  t.equal(decide(deadline, { nowMs: noon + 90_001 }), 'wait 5', 'after it')
  t.equal(decide({ StartingDeadline: 0 }, { nowMs: noon + 20 }), 'start 0', 'a timer is not exact')
  t.equal(decide({ StartingDeadline: 0 }, { nowMs: noon + 2000 }), 'wait 5')

  t.equal(decide({ ConcurrencyPolicy: 'Allow' }, { runCount: 3 }), 'start 0')
  t.equal(decide({}, { runCount: RUNS_AT_ONCE_MAX }), 'wait 5', 'within reason')
  t.equal(decide({ ConcurrencyPolicy: 'Replace' }, { runCount: 3 }), 'start 0')
  const forbid = { ConcurrencyPolicy: 'Forbid' } as const
  t.equal(decide(forbid, { runCount: 1 }), 'wait 5')
  t.equal(decide(forbid, { nowMs: noon + MINUTE }), 'start 0', 'when the one before has ended')
})

const scheduled = (schedule: Partial<Schedule> = {}, spec: SpecChange = {}): SpecChange => ({
  image: 'exit:1000',
  Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } },
  Swarmctl: { Schedule: { Cron: '*/5 * * * *', ...schedule } },
  ...spec,
})

/** Virtual time starts at a full hour, between two due times after this. */
const world = async (schedule: Partial<Schedule> = {}, spec: SpecChange = {}) => {
  const world = await World.start(2)
  await world.clock.advance(MINUTE)
  await world.createService('job', scheduled(schedule, spec))
  return world
}

/** The last state of each slot of each run: `1: complete running`. */
const runs = (world: World): string[] => {
  const kept = world.tasks('job').filter((task) => task.DesiredState !== 'remove')
  return [...Map.groupBy(kept, (task: Task) => task.JobIteration?.Index ?? 0)]
    .sort(([a], [b]) => a - b)
    .map(([index, tasks]) => {
      const slots = [...Map.groupBy(tasks, ({ Slot }) => Slot ?? 0)].sort(([a], [b]) => a - b)
      const states = slots.map(([, own]) => own.toSorted(byAge).at(-1)?.Status.State)
      return `${index}: ${states.join(' ')}`
    })
}

const byAge = (a: Task, b: Task): number => (a.CreatedAt < b.CreatedAt ? -1 : 1)

const lastDue = (world: World): string | undefined =>
  world.service('job').Swarmctl.ScheduleStatus?.LastDue?.slice(11, 19)

t.test('nothing runs at the creation, then once for each due time', async (t) => {
  const one = await world()
  await one.clock.advance(3 * MINUTE)
  t.strictSame(runs(one), [])
  t.equal(one.service('job').JobStatus?.LastExecution, undefined)
  await one.clock.advance(MINUTE + 500)
  t.strictSame(runs(one), ['1: running'])
  t.equal(lastDue(one), '00:05:00')
  await one.clock.advance(MINUTE)
  t.strictSame(runs(one), ['1: complete'])
  await one.clock.advance(5 * MINUTE)
  t.strictSame(runs(one), ['1: complete', '2: complete'])
  t.equal(one.service('job').JobStatus?.JobIteration.Index, 2)
  t.equal(lastDue(one), '00:10:00')
})

t.test('a schedule whose next time is far ahead does not wake the loop before', async (t) => {
  const one = await world({ Cron: '0 0 1 1 *' })
  const before = one.proposer.log.length
  await one.clock.advance(90 * 24 * 60 * MINUTE)
  t.equal(one.proposer.log.length, before)
  await one.clock.advance(276 * 24 * 60 * MINUTE)
  t.equal(one.service('job').JobStatus?.JobIteration.Index, 1)
})

t.test('a leader change neither repeats nor loses a run', async (t) => {
  const one = await world()
  for (let second = 0; second < 20 * 60; second += 7) {
    await one.stopLoops()
    one.startLoops()
    await one.clock.advance(7000)
  }
  t.equal(one.service('job').JobStatus?.JobIteration.Index, 4, 'four due times in 21 minutes')
  t.equal(lastDue(one), '00:20:00')
})

t.test('while nobody led only the latest is made up for, and only in time', async (t) => {
  for (const [schedule, index] of [
    [{}, 2],
    [{ StartingDeadline: 5 * MINUTE * 1e6 }, 2],
    [{ StartingDeadline: MINUTE * 1e6 }, 1],
  ] as const) {
    const one = await world(schedule)
    await one.clock.advance(5 * MINUTE)
    t.strictSame(runs(one), ['1: complete'])
    await one.stopLoops()
    await one.clock.advance(61 * MINUTE)
    one.startLoops()
    await one.clock.advance(MINUTE)
    t.equal(one.service('job').JobStatus?.JobIteration.Index, index, JSON.stringify(schedule))
    await one.clock.advance(3 * MINUTE)
    t.equal(one.service('job').JobStatus?.JobIteration.Index, index + 1, 'then as ever')
  }
})

t.test('two leaders that both think a run is due start it once', async (t) => {
  const one = await world({ Suspend: true })
  const service = one.service('job')
  const operation = {
    kind: 'start-run',
    serviceId: 'job',
    specVersion: service.Swarmctl.SpecVersion,
    lastDue: undefined,
    due: '2026-01-01T00:00:00.000Z',
    now: '2026-01-01T00:01:00.000Z',
  } as const
  await one.store.batch([operation, operation].map((each) => (tx) => applyOperation(tx, each)))
  t.match(one.service('job').JobStatus, {
    JobIteration: { Index: 1 },
    LastExecution: operation.now,
  })
  await one.store.update((tx) => applyOperation(tx, { ...operation, lastDue: 'another' }))
  await one.store.update((tx) => applyOperation(tx, { ...operation, specVersion: 1 }))
  t.equal(one.service('job').JobStatus?.JobIteration.Index, 1)
})

t.test('a last run from the future was written by a clock that was wrong', async (t) => {
  const one = await world()
  await one.stopLoops()
  await one.store.update((tx) => {
    const service = one.service('job')
    const ScheduleStatus = {
      Since: '2026-01-01T00:01:00.000Z',
      LastDue: '2030-01-01T00:00:00.000Z',
    }
    tx.put('service', { ...service, Swarmctl: { ...service.Swarmctl, ScheduleStatus } })
  })
  one.startLoops()
  await one.clock.advance(5 * MINUTE)
  t.equal(lastDue(one), '00:05:00')
})

t.test('so was a schedule that is in force from the future', async (t) => {
  const one = await world()
  await one.stopLoops()
  await one.store.update((tx) => {
    const service = one.service('job')
    const ScheduleStatus = { Since: '2030-01-01T00:00:00.000Z' }
    tx.put('service', { ...service, Swarmctl: { ...service.Swarmctl, ScheduleStatus } })
  })
  one.startLoops()
  await one.clock.advance(10 * MINUTE)
  t.equal(lastDue(one), '00:10:00')
  t.equal(one.service('job').JobStatus?.JobIteration.Index, 2, 'each due time once')
})

t.test('Allow: runs go on beside each other, each restarted by itself', async (t) => {
  const one = await world(
    { ConcurrencyPolicy: 'Allow' },
    {
      image: `exit:${7 * MINUTE}`,
      Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
    },
  )
  await one.clock.advance(10 * MINUTE)
  t.strictSame(runs(one), ['1: running', '2: running'])
  await one.clock.advance(3 * MINUTE)
  t.strictSame(runs(one), ['1: complete running', '2: running'], 'the older run goes on')
  const [older] = one.running('job').filter((task) => task.JobIteration?.Index === 1)
  one.kill(older?.NodeID ?? '')
  await one.clock.advance(5000)
  const restarted = one.running('job').filter((task) => task.JobIteration?.Index === 1)
  t.equal(restarted.length, 1, 'moved to the other node, in its own run')
  t.equal(restarted[0]?.Slot, 1)
})

t.test('Forbid: a run that is due waits for the one before it', async (t) => {
  const one = await world({ ConcurrencyPolicy: 'Forbid' }, { image: `exit:${6 * MINUTE}` })
  await one.clock.advance(9.9 * MINUTE)
  t.strictSame(runs(one), ['1: running'])
  await one.clock.advance(MINUTE)
  t.strictSame(runs(one), ['1: complete', '2: running'], 'missed at 10, started at 11')
  t.equal(lastDue(one), '00:10:00')
  const strict = await world(
    { ConcurrencyPolicy: 'Forbid', StartingDeadline: 30e9 },
    { image: `exit:${6 * MINUTE}` },
  )
  await strict.clock.advance(11 * MINUTE)
  t.strictSame(runs(strict), ['1: complete'], 'too late at 11')
})

t.test('Replace: the next run ends the one before it', async (t) => {
  const one = await world({ ConcurrencyPolicy: 'Replace' }, { image: `exit:${6 * MINUTE}` })
  await one.clock.advance(10 * MINUTE)
  t.strictSame(runs(one), ['2: running'])
  t.equal(one.containers().length, 1)
  t.equal(one.tasks('job').length, 1, 'what was replaced is gone')
})

t.test('old runs go, by how they ended; the last stays', async (t) => {
  const one = await world({ CompletedHistoryLimit: 2 })
  await one.clock.advance(26 * MINUTE)
  t.strictSame(runs(one), ['4: complete', '5: complete'])
  const none = await world({ CompletedHistoryLimit: 0 })
  await none.clock.advance(11 * MINUTE)
  t.strictSame(runs(none), ['2: complete'])
  t.equal(none.tasks('job').length, 1)

  const failing = await world(
    { FailedHistoryLimit: 2 },
    { image: 'crash:100', TaskTemplate: { RestartPolicy: { Condition: 'none' } } },
  )
  await failing.clock.advance(11 * MINUTE)
  t.strictSame(runs(failing), ['1: failed', '2: failed'])
  await failing.updateService('job', { image: 'exit:100' })
  await failing.clock.advance(15 * MINUTE)
  t.strictSame(
    runs(failing),
    ['1: failed', '2: failed', '3: complete', '4: complete', '5: complete'],
    'those that failed are counted apart',
  )
})

t.test('history is no work: more completions wanted do not reopen it', async (t) => {
  const one = await world()
  await one.clock.advance(6 * MINUTE)
  await one.clock.advance(5 * MINUTE)
  t.strictSame(runs(one), ['1: complete', '2: complete'])
  await one.updateService('job', {
    Mode: { ReplicatedJob: { MaxConcurrent: 3, TotalCompletions: 3 } },
    Swarmctl: { Schedule: { Cron: '*/5 * * * *', Suspend: true } },
  })
  await one.clock.advance(10 * MINUTE)
  t.strictSame(runs(one), ['1: complete', '2: complete'])
  t.ok(one.tasks('job').every(({ Status }) => isTerminal(Status.State)))
})

t.test('an update waits for the next due time, a forced one runs at once', async (t) => {
  const one = await world()
  await one.updateService('job', { image: 'exit:2000' })
  await one.clock.advance(MINUTE)
  t.strictSame(runs(one), [])
  await one.updateService('job', { TaskTemplate: { ForceUpdate: 1 } })
  await one.clock.advance(MINUTE)
  t.strictSame(runs(one), ['1: complete'])
  t.equal(lastDue(one), undefined, 'out of turn')
  await one.clock.advance(2.5 * MINUTE)
  t.strictSame(runs(one), ['1: complete', '2: complete'])
})

t.test('suspended, resumed, changed, taken away', async (t) => {
  const one = await world({ Suspend: true })
  await one.clock.advance(20 * MINUTE)
  t.strictSame(runs(one), [])
  await one.updateService('job', scheduled())
  await one.clock.advance(30_000)
  t.equal(lastDue(one), '00:20:00', 'what was suspended counts as missed')
  await one.updateService('job', scheduled({ Cron: '*/3 * * * *' }))
  await one.clock.advance(30_000)
  t.strictSame(runs(one), ['1: complete'], 'another schedule has missed nothing')
  await one.clock.advance(2 * MINUTE)
  t.equal(lastDue(one), '00:24:00')
  await one.updateService('job', { Swarmctl: {} })
  await one.clock.advance(10_000)
  t.strictSame(runs(one), ['3: complete'], 'a job without one runs when it is updated')
  t.equal(one.service('job').Swarmctl.ScheduleStatus, undefined)
  await one.clock.advance(60 * MINUTE)
  t.strictSame(runs(one), ['3: complete'])
})
