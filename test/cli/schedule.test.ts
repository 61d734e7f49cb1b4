/** A job that runs by a schedule, as the commands make and show it. */
import t, { type Test } from 'tap'
import type { Service } from '../../src/api/service.ts'
import type { TaskState } from '../../src/api/task-state.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'
import { sampleTask } from '../support/objects.ts'

const NOW = Date.parse('2026-01-02T04:01:00Z')

const start = async (t: Test) => {
  const node = await startNode(t)
  const run = (...args: string[]) =>
    runCli(['-H', node.host, ...args], { nowMs: () => NOW, sleep: async () => {} })
  const create = (...flags: string[]) =>
    run(
      ...['service', 'create', '--no-resolve-image', '--name', 'job', '--mode', 'replicated-job'],
      ...[...flags, 'backup:1'],
    )
  const service = (): Service => node.swarm.store.view().byName('service', 'job')!
  /** The state of the service's only task in a run. */
  const putRun = async (Index: number, State: TaskState) => {
    const base = sampleTask(`run${Index}`.padEnd(25, 'a'), service().ID)
    await node.swarm.store.update((tx) => {
      tx.put('service', {
        ...service(),
        JobStatus: { JobIteration: { Index }, LastExecution: '2026-01-02T04:00:00.000Z' },
      })
      tx.put('task', {
        ...base,
        Slot: 0,
        JobIteration: { Index },
        DesiredState: State === 'failed' ? 'shutdown' : 'complete',
        Status: { Timestamp: '2026-01-02T04:00:30.000Z', State, Message: State },
        Swarmctl: { ...base.Swarmctl, SpecVersion: service().Swarmctl.SpecVersion },
      })
    })
  }
  return { node, run, create, service, putRun }
}

t.test('create does not wait for a run and says when it comes', async (t) => {
  const { create, service } = await start(t)
  const ran = await create('--schedule', '*/5 * * * *')
  t.equal(ran.code, 0, ran.err)
  t.equal(ran.out.split('\n')[1], 'scheduled, next run: 2026-01-02T04:05:00.000Z')
  t.strictSame(service().JobStatus, { JobIteration: { Index: 0 } }, 'nothing has run')
  t.match(service().Swarmctl.ScheduleStatus, { Since: String })
})

t.test('what is no schedule is refused before anything is sent', async (t) => {
  const { create, run } = await start(t)
  t.match((await create('--schedule', '* * *')).err, /for --schedule: "\* \* \*" is no schedule: /)
  t.match((await create('--schedule-time-zone', 'X')).err, /"X" is no time zone/)
  t.match(
    (await create('--schedule-suspend')).err,
    'Swarmctl.Schedule: "" is no schedule: write five fields',
  )
  t.match(
    (await run('service', 'create', '--no-resolve-image', '--schedule', '@daily', 'i')).err,
    'Swarmctl.Schedule: a schedule needs the mode replicated-job',
  )
})

t.test('update changes, suspends and takes the schedule away', async (t) => {
  const { create, run, service } = await start(t)
  await create('--schedule', '@daily')
  const update = (...flags: string[]) => run('service', 'update', ...flags, 'job')
  t.match(
    (await update('--schedule-suspend')).out,
    'scheduled, next run: none, the schedule is suspended',
  )
  t.strictSame(service().Spec.Swarmctl?.Schedule, { Cron: '@daily', Suspend: true })
  await update('--schedule-suspend=false', '--schedule', '@hourly')
  t.strictSame(service().Spec.Swarmctl?.Schedule, { Cron: '@hourly', Suspend: false })
  t.equal(service().JobStatus?.JobIteration.Index, 0, 'no update ran it')
  await update('--force', '--detach')
  t.equal(service().JobStatus?.JobIteration.Index, 1, 'this one did')
  const taken = await update('--schedule', '', '--detach')
  t.equal(taken.err, '')
  t.equal(service().Spec.Swarmctl?.Schedule, undefined)
  t.equal(service().Swarmctl.ScheduleStatus, undefined)
  t.equal(service().JobStatus?.JobIteration.Index, 2, 'a job without one runs when it is updated')
})

t.test('a client that does not know schedules is told what its update does', async (t) => {
  const node = await startNode(t)
  const spec = {
    Name: 'job',
    TaskTemplate: { ContainerSpec: { Image: 'i' } },
    Mode: { ReplicatedJob: {} },
  }
  const { body } = await node.call('POST', '/services/create', {
    body: { ...spec, Swarmctl: { Schedule: { Cron: '@daily' } } },
  })
  const { Version } = (await node.call('GET', `/services/${body.ID}`)).body
  const answer = await node.call('POST', `/services/${body.ID}/update?version=${Version.Index}`, {
    body: spec,
  })
  t.strictSame(answer.body.Warnings, [
    'the request has no Swarmctl.Schedule: the job runs now, and by no schedule any more',
  ])
})

t.test('inspect --pretty shows the schedule, the last run and the next', async (t) => {
  const { create, run, putRun } = await start(t)
  await create('--schedule', '0 3 * * *', '--schedule-time-zone', 'Europe/Berlin')
  const pretty = async () => (await run('service', 'inspect', '--pretty', 'job')).out
  const before = await pretty()
  t.match(before, ' Cron:\t0 3 * * *\n Time Zone:\tEurope/Berlin\n Concurrency:\tAllow\n')
  t.match(before, ' Last Run:\tnone yet\n Next Run:\t2026-01-03T02:00:00.000Z\n')
  await putRun(1, 'complete')
  t.match(await pretty(), ' Last Run:\t2026-01-02T04:00:00.000Z\n')
})

t.test('why says when it runs, and judges the last run alone', async (t) => {
  const { create, run, putRun } = await start(t)
  await create('--schedule', '*/5 * * * *')
  const why = async () => (await run('why', 'job')).out
  const idle = await why()
  t.match(idle, /^service job: .*, as it should be/)
  t.match(
    idle,
    'it runs by the schedule "*/5 * * * *" (UTC), next in 4m, at 2026-01-02T04:05:00.000Z',
  )
  t.match(idle, 'it has not run yet')
  await putRun(1, 'failed')
  t.match(await why(), /, not as it should be\n[\s\S]*its last run started 1m ago/)
  await putRun(2, 'complete')
  t.match(await why(), /^service job: 1 of 1 tasks are complete, as it should be/)
  await run('service', 'update', '--schedule-suspend', 'job')
  t.match(await why(), 'its schedule "*/5 * * * *" is suspended: "swarmctl service update')
})

t.test('why tells of a run that is held back, or was missed', async (t) => {
  const { create, run, service, node } = await start(t)
  await create('--schedule', '*/5 * * * *', '--schedule-concurrency', 'forbid')
  const why = async () => (await run('why', 'job')).out
  await node.swarm.store.update((tx) =>
    tx.put('service', {
      ...service(),
      Swarmctl: {
        ...service().Swarmctl,
        ScheduleStatus: { Since: '2026-01-02T03:00:00.000Z', LastDue: '2026-01-02T03:55:00.000Z' },
      },
    }),
  )
  t.match(await why(), 'the run that was due 1m ago waits until the one under way ends')
  await run('service', 'update', '--schedule-starting-deadline', '30s', 'job')
  t.match(await why(), 'the run that was due 1m ago was missed: it could not start within 30s')
})

t.test('ps lists the tasks of every run that is kept', async (t) => {
  const { create, run, putRun } = await start(t)
  await create('--schedule', '@hourly')
  await putRun(1, 'complete')
  await putRun(2, 'running')
  const { out } = await run('service', 'ps', '--no-trunc', '-q', 'job')
  t.strictSame(
    out.trim().split('\n').sort(),
    ['run1', 'run2'].map((id) => id.padEnd(25, 'a')),
  )
})
