import t, { type Test } from 'tap'
import type { Task } from '../../src/api/task.ts'
import { tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import {
  daemonsLive,
  nodeLine,
  untilContainers,
  untilNodeLine,
  untilPs,
} from '../support/lab/waits.ts'

// Docker Engines that are down, are killed or hang, under running tasks: said in node ls, what is gone is replaced, what lives stays.

const IMAGE = 'swarmctl-test:1'
const CREATE = ['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s']
const DETACHED = [...CREATE, '--detach', '--restart-delay', '200ms']

labTest(t, 'faults of Engines', { hosts: 3 }, async (t, lab) => {
  const [h1, h2] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 1 })
  const pids = new Map(lab.hosts.map((host) => [host, host.daemon?.pid]))

  await t.test('a Docker Engine that is down, on a worker with running tasks', async (t) => {
    const where = ['--constraint', 'node.role==worker', '--replicas', '4']
    await h1.swarmctl([...DETACHED, '--name', 'pair', ...where, IMAGE])
    await untilRunning(h1, 'pair', 4, { on: ['h2', 'h3'] })
    await h2.stopEngine()
    t.match(await untilNodeLine(h1, h2, /Ready.*Docker Engine/), /does not answer/)
    const docker = await h2.dockerViaSwarmctl(['ps'], { check: false })
    t.equal(docker.code, 1)
    t.match(docker.stderr, /local Docker Engine does not answer.*start it/)
    t.equal((await h2.apiRequest('/containers/json')).status, 503)
    await h1.swarmctl([...DETACHED, '--name', 'again', '--constraint', 'node.hostname==h2', IMAGE])
    await untilPs(h1, 'again', /Pending.*node h2: Docker Engine: .*does not answer/)
    daemonsLive(t as Test, pids)
    await untilRunning(h1, 'pair', 4, { on: ['h3'] })

    await h2.startEngine()
    await untilNodeLine(h1, h2, /Ready(?!.*Docker Engine)/)
    await untilRunning(h1, 'again', 1, { on: ['h2'] })
    t.equal(
      (await untilContainers(h1, lab.hosts, 'pair', 4)).length,
      4,
      'what died with it is replaced',
    )
    daemonsLive(t as Test, pids)
  })

  await t.test('an Engine that is killed and restarts under running tasks', async (t) => {
    const [before] = (await untilContainers(h1, lab.hosts, 'again', 1)) as [Task]
    const where = ['--constraint', 'node.role==worker']
    await h1.swarmctl([...DETACHED, '--name', 'moved', ...where, IMAGE])
    // The others are on h3, since h2's Engine was down.
    const [moved] = (await untilRunning(h1, 'moved', 1, { on: ['h2'] })) as [Task]
    await h2.killEngine()
    await untilNodeLine(h1, h2, /Ready.*Docker Engine/)
    await h2.exec('kill', ['-9', String(moved.Status.ContainerStatus?.PID)])
    await untilPs(h1, 'moved', /Failed.*its process ended while the Docker Engine did not answer/)
    await untilRunning(h1, 'moved', 1, { on: ['h3'] })
    const [still] = (await untilRunning(h1, 'again', 1)) as [Task]
    t.equal(still.ID, before.ID, 'its process lives')
    await h2.startEngine()
    await untilNodeLine(h1, h2, /Ready(?!.*Docker Engine)/)
    const [after] = (await untilContainers(h1, lab.hosts, 'again', 1)) as [Task]
    t.not(after.ID, before.ID, 'without live-restore the container died with its Engine')
    await untilContainers(h1, lab.hosts, 'pair', 4)
    daemonsLive(t as Test, pids)
  })

  await t.test('a job that ends well while its Engine is dead is done, once', async (t) => {
    await h1.swarmctl([
      ...['service', 'create', '--quiet', '--detach', '--no-resolve-image', '--name', 'work'],
      ...['--mode', 'replicated-job'],
      ...['--constraint', 'node.hostname==h2', '--entrypoint', 'perl -e "sleep 12"', IMAGE],
    ])
    const [task] = (await eventually(
      async () => {
        const tasks = await tasksOf(h1, 'work')
        return tasks.some(({ Status }) => Status.State === 'running') && tasks
      },
      { what: 'the job runs', timeoutMs: 60_000 },
    )) as [Task]
    await h2.killEngine()
    await untilNodeLine(h1, h2, /Ready.*Docker Engine/)
    await eventually(
      async () => {
        const pid = String(task.Status.ContainerStatus?.PID)
        return (await h2.exec('test', ['-d', `/proc/${pid}`], { check: false })).code !== 0
      },
      { what: 'the process ends', timeoutMs: 60_000 },
    )
    await h2.startEngine()
    // Not by `service ps`: what is desired of a job's task is "Complete" from the beginning.
    const ended = await eventually(
      async () => {
        const tasks = await tasksOf(h1, 'work')
        return tasks.every(({ Status }) => Status.State !== 'running') && tasks
      },
      { what: 'the job has ended', timeoutMs: 60_000 },
    )
    t.strictSame(
      ended.map(({ ID, Status }) => [ID, Status.State]),
      [[task.ID, 'complete']],
    )
    daemonsLive(t as Test, pids)
    await h1.swarmctl(['service', 'rm', 'work'])
  })

  await t.test('an Engine that hangs: said, and its containers stay', async (t) => {
    const before = await untilContainers(h1, lab.hosts, 'again', 1)
    h2.engine.process?.signal('SIGSTOP')
    try {
      await untilNodeLine(h1, h2, /Ready.*Docker Engine does not answer: .*said nothing/)
    } finally {
      h2.engine.process?.signal('SIGCONT')
    }
    await untilNodeLine(h1, h2, /Ready(?!.*Docker Engine)/)
    const after = await untilContainers(h1, lab.hosts, 'again', 1)
    t.same(
      after.map(({ ID }) => ID),
      before.map(({ ID }) => ID),
    )
    daemonsLive(t as Test, pids)
  })

  await t.test('a manager whose Engine is down serves the cluster', async (t) => {
    await h1.stopEngine()
    await untilNodeLine(h1, h1, /Ready.*Leader.*Docker Engine/)
    await h1.swarmctl(['service', 'scale', '-q', '-d', 'pair=5'])
    await untilRunning(h1, 'pair', 5, { on: ['h2', 'h3'] })
    const words = /Docker Engine does not answer/
    await h1.startEngine()
    await untilNodeLine(h1, h1, /Ready(?!.*Docker Engine)/)
    daemonsLive(t as Test, pids)
    t.notMatch(await nodeLine(h1, h1), words)
    await h1.swarmctl(['service', 'rm', 'pair', 'again', 'moved'])
  })
})
