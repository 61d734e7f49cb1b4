import t from 'tap'
import type { Service } from '../../src/api/service.ts'
import { nodesByName, serviceOf, tasksOf } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// CronJob: jobs that run by a schedule, on real daemons and over the death of a leader.

const IMAGE = 'swarmctl-test:1'
const EVERY_3_S = '*/3 * * * * *'
const patiently = { timeoutMs: 120_000 }

const CRON_JOB = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: yearly}
spec:
  schedule: "@yearly"
  timeZone: Europe/Berlin
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: c, image: "${IMAGE}", command: [perl, -e, "exit 0"]}]
`

/** Each time that a run was seen to be due, with the number of the run that it started. */
const watchRuns = (seen: Map<string, number>, { Swarmctl, JobStatus }: Service): number => {
  const due = Swarmctl.ScheduleStatus?.LastDue
  const index = JobStatus?.JobIteration.Index ?? 0
  if (due !== undefined) seen.set(`${due} ${index}`, index)
  return index
}

labTest(t, 'jobs run by their schedule', { hosts: 3 }, async (t, lab) => {
  const [h1] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 3 })
  const leader = await eventually(
    async () => {
      const nodes = [...(await nodesByName(h1)).values()]
      const name = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader)?.Description.Hostname
      return lab.hosts.find((host) => host.name === name)
    },
    { what: 'a leader' },
  )
  const survivor = lab.hosts.find((host) => host !== leader) as LabHost

  await t.test('every three seconds, each time once, also when the leader dies', async (t) => {
    const created = await survivor.swarmctl([
      ...['service', 'create', '--no-resolve-image', '--name', 'tick', '--mode', 'replicated-job'],
      ...['--schedule', EVERY_3_S, '--schedule-keep-completed', '1000'],
      ...['--entrypoint', 'perl -e exit', IMAGE],
    ])
    t.match(created.stdout, /scheduled, next run: \d{4}-.*Z/)
    const seen = new Map<string, number>()
    const untilRun = (count: number) =>
      eventually(async () => watchRuns(seen, await serviceOf(survivor, 'tick')) >= count, {
        what: `run ${count}`,
        ...patiently,
      })
    await untilRun(2)
    await leader.kill9Daemon()
    const before = Math.max(...seen.values())
    await untilRun(before + 3)
    await survivor.swarmctl(
      ['service', 'update', '--no-resolve-image', '--schedule-suspend', 'tick'],
      patiently,
    )
    const { JobStatus } = await serviceOf(survivor, 'tick')
    watchRuns(seen, await serviceOf(survivor, 'tick'))
    const count = JobStatus?.JobIteration.Index ?? 0
    const tasks = await eventually(
      async () => {
        const all = (await tasksOf(survivor, 'tick')).filter(
          ({ Status }) => Status.State === 'complete',
        )
        return new Set(all.map((task) => task.JobIteration?.Index)).size === count && all
      },
      { what: `${count} runs that completed`, ...patiently },
    )
    t.equal(new Set(tasks.map((task) => task.JobIteration?.Index)).size, count)
    const dues = [...seen.keys()].map((pair) => pair.split(' ')[0])
    t.equal(new Set(dues).size, dues.length, 'no due time has two runs')
    t.equal(new Set(seen.values()).size, dues.length, 'no run has two due times')
    t.ok(
      dues.every((due) => new Date(due ?? '').getUTCSeconds() % 3 === 0),
      `by the clock: ${dues.join(' ')}`,
    )
    await leader.spawnDaemon([])
  })

  await t.test(
    'a CronJob of Kubernetes waits for its time, and runs when it is told to',
    async (t) => {
      const applied = await survivor.swarmctl(['apply', '-f', '-', '--resolve-image', 'never'], {
        input: CRON_JOB,
        ...patiently,
      })
      t.equal(applied.code, 0)
      t.strictSame(await tasksOf(survivor, 'yearly'), [])
      t.match(
        (await survivor.swarmctl(['why', 'yearly'])).stdout,
        /it runs by the schedule "@yearly" \(Europe\/Berlin\), next in /,
      )
      await survivor.swarmctl(
        ['service', 'update', '--force', '--quiet', '--no-resolve-image', 'yearly'],
        patiently,
      )
      const tasks = await tasksOf(survivor, 'yearly')
      t.strictSame(
        tasks.map(({ Status }) => Status.State),
        ['complete'],
      )
    },
  )
})
