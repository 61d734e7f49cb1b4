import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import { execInTask, inspectTask, nodesByName, tasksOf, untilRunning } from '../support/lab/api.ts'
import { readCgroup } from '../support/lab/cgroup.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Health and Resources: what decides that a task runs, and what it may use.

const CREATE = [
  ...['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s'],
  ...['--restart-delay', '100ms'],
]
const IMAGE = 'swarmctl-test:1'
const HEALTH_IMAGE = 'swarmctl-test:health'
/** `--health-cmd` whose answer the test decides. */
const UNTIL_OK = ['--health-cmd', 'test -e /tmp/ok', '--health-interval', '500ms']
const patiently = { timeoutMs: 120_000 }
/** What every Engine offers. */
const GPUS = ['gpu-a', 'gpu-b']
const engineArgs = GPUS.flatMap((name) => ['--node-generic-resource', `GPU=${name}`])

labTest(t, 'health and resources', { hosts: 2, engineArgs }, async (t, lab) => {
  const [h1] = lab.hosts as [LabHost]
  await formCluster(lab, { managers: 1 })

  /** The newest task of a service that has a container. */
  const untilStarted = (service: string, after?: Task): Promise<Task> =>
    eventually(
      async () =>
        (await tasksOf(h1, service)).find(
          (task) =>
            task.ID !== after?.ID &&
            task.DesiredState === 'running' &&
            task.Status.ContainerStatus?.ContainerID &&
            ['starting', 'running'].includes(task.Status.State),
        ),
      { what: `a container of ${service}`, timeoutMs: 60_000 },
    )
  const stateOf = async (task: Task): Promise<Task> =>
    (await h1.apiRequest(`/tasks/${task.ID}`)).json<Task>()
  const untilState = (task: Task, state: string): Promise<Task> =>
    eventually(
      async () => {
        const now = await stateOf(task)
        return now.Status.State === state && now
      },
      { what: `task ${task.ID} is ${state}`, timeoutMs: 60_000 },
    )
  const healthOf = async (task: Task) =>
    (await inspectTask(lab.hosts, task)).container.State.Health?.Status
  const rm = (...services: string[]) => h1.swarmctl(['service', 'rm', ...services])

  await t.test("the image's healthcheck: an unhealthy task is replaced", async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'image', HEALTH_IMAGE], patiently)
    const [task] = (await untilRunning(h1, 'image', 1)) as [Task]
    t.equal(await healthOf(task), 'healthy', 'when it counts as running it is healthy')
    await execInTask(lab.hosts, task, ['touch', '/tmp/unhealthy'])
    const failed = await untilState(task, 'failed')
    t.match(failed.Status.Err, /unhealthy/)
    const next = await untilStarted('image', task)
    await untilState(next, 'running')
    t.equal(await healthOf(next), 'healthy')
    t.match((await h1.swarmctl(['service', 'ps', 'image'])).stdout, /Shutdown +Failed .*unhealthy/)
    await rm('image')
  })

  await t.test("the flags' healthcheck: it runs only when it is healthy", async (t) => {
    await h1.swarmctl([
      ...[...CREATE, '--name', 'flags', '--detach', ...UNTIL_OK, '--health-retries', '2'],
      ...['--health-start-period', '5m', HEALTH_IMAGE],
    ])
    const task = await untilStarted('flags')
    await eventually(
      async () => {
        const { container } = await inspectTask(lab.hosts, task)
        const health = container.State.Health as { Status: string; Log?: { ExitCode: number }[] }
        return health.Status === 'starting' && (health.Log?.length ?? 0) >= 3
      },
      { what: 'three checks that failed', timeoutMs: 60_000 },
    )
    t.equal((await stateOf(task)).Status.State, 'starting', 'not running before it is healthy')
    t.match((await h1.swarmctl(['service', 'ls'])).stdout, /flags +replicated +0\/1/)
    await execInTask(lab.hosts, task, ['touch', '/tmp/ok'])
    await untilState(task, 'running')
    t.equal(await healthOf(task), 'healthy')
    t.match((await h1.swarmctl(['service', 'ls'])).stdout, /flags +replicated +1\/1/)
    await rm('flags')
  })

  await t.test('one that never gets healthy is replaced and never runs', async (t) => {
    await h1.swarmctl([
      ...[...CREATE, '--name', 'never', '--detach', ...UNTIL_OK, '--health-retries', '1', IMAGE],
    ])
    const first = await untilStarted('never')
    const failed = await untilState(first, 'failed')
    t.match(failed.Status.Err, /unhealthy/)
    const second = await untilStarted('never', first)
    t.equal(second.Slot, first.Slot)
    await rm('never')
  })

  await t.test('an update whose tasks do not get healthy fails; the old ones go on', async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'kept', '--replicas', '2', HEALTH_IMAGE], patiently)
    const before = (await untilRunning(h1, 'kept', 2)).map((task) => task.ID).sort()
    const updated = await h1.swarmctl(
      [
        ...['service', 'update', '-q', '--update-order', 'start-first', '--rollback-monitor', '1s'],
        ...['--update-failure-action', 'rollback', '--health-cmd', 'false', 'kept'],
      ],
      { ...patiently, check: false },
    )
    t.equal(updated.code, 1)
    t.match(updated.stderr, /rolled back/)
    const after = (await untilRunning(h1, 'kept', 2)).map((task) => task.ID).sort()
    t.strictSame(after, before, 'start-first: they were never stopped')
    await rm('kept')
  })

  await t.test('--no-healthcheck takes it away', async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'none', '--no-healthcheck', HEALTH_IMAGE], patiently)
    const [task] = (await untilRunning(h1, 'none', 1)) as [Task]
    t.notOk(await healthOf(task))
    await rm('none')
  })

  await t.test("limits are in the container's cgroup", async (t) => {
    await h1.swarmctl(
      [
        ...[...CREATE, '--name', 'limited', '--mode', 'global'],
        ...['--limit-cpu', '0.25', '--limit-memory', '64M', '--limit-pids', '40', IMAGE],
      ],
      patiently,
    )
    const limits = async (task: Task) => {
      const { host, container } = await inspectTask(lab.hosts, task)
      return readCgroup(host, container.State.Pid)
    }
    for (const task of await untilRunning(h1, 'limited', 2)) {
      t.strictSame(await limits(task), { cpus: 0.25, memoryBytes: 64 << 20, pids: 40 })
    }
    await h1.swarmctl(
      [
        ...['service', 'update', '-q', '--update-parallelism', '0', '--limit-cpu', '0.5'],
        ...['--limit-memory', '48M', '--limit-pids', '30', 'limited'],
      ],
      patiently,
    )
    const tasks = await untilRunning(h1, 'limited', 2)
    for (const task of tasks) {
      t.strictSame(await limits(task), { cpus: 0.5, memoryBytes: 48 << 20, pids: 30 })
    }
    const [task, other] = tasks as [Task, Task]
    const forks = 'i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done'
    const forked = await execInTask(lab.hosts, task, ['sh', '-c', forks], { check: false })
    t.match(forked, { stderr: /can't fork|Resource temporarily unavailable/ }, 'pids are limited')
    // In the other one: this one has no process to spare. The answer is lost with the process.
    await execInTask(lab.hosts, other, ['curl', '-s', 'http://127.0.0.1/memory?mib=200'], {
      check: false,
    })
    const killed = await untilState(other, 'failed')
    t.equal(killed.Status.ContainerStatus?.ExitCode, 137, 'memory is limited')
    await untilRunning(h1, 'limited', 2)
    await h1.swarmctl([...CREATE, '--name', 'free', IMAGE], patiently)
    const [free] = (await untilRunning(h1, 'free', 1)) as [Task]
    const unlimited = await limits(free)
    t.equal(unlimited.cpus, Infinity, 'no flag, no limit')
    t.ok(unlimited.memoryBytes > 2 ** 40)
    await rm('limited', 'free')
  })

  await t.test('reservations are never oversubscribed', async (t) => {
    const nodes = [...(await nodesByName(h1)).values()]
    const cpus = nodes.map((node) => Math.floor(node.Description.Resources.NanoCPUs / 1e9))
    const fitting = cpus.reduce((sum, count) => sum + count, 0)
    const create = [...CREATE, '--detach', '--reserve-cpu', '1', '--replicas', String(fitting + 2)]
    // Two at once compete for the same CPUs.
    await Promise.all(['one', 'two'].map((name) => h1.swarmctl([...create, '--name', name, IMAGE])))
    const all = async () => [...(await tasksOf(h1, 'one')), ...(await tasksOf(h1, 'two'))]
    const untilFull = () =>
      eventually(
        async () => {
          const tasks = await all()
          const running = tasks.filter((task) => task.Status.State === 'running')
          const pending = tasks.filter((task) => task.Status.State === 'pending')
          return running.length === fitting && pending.length > 0 && { running, pending }
        },
        { what: `${fitting} tasks run`, timeoutMs: 120_000 },
      )
    const full = await untilFull()
    t.equal(full.pending.length, fitting + 4)
    for (const [index, node] of nodes.entries()) {
      const here = full.running.filter((task) => task.NodeID === node.ID)
      t.equal(here.length, cpus[index], `${node.Description.Hostname} is full`)
    }
    t.match(full.pending[0]?.Status.Err, 'no suitable node (2 nodes: insufficient CPU)')
    const [freed] = full.running as [Task]
    await rm(freed.ServiceID)
    const rest = full.running.find((task) => task.ServiceID !== freed.ServiceID)
    const other = rest ?? (full.pending.find((task) => task.ServiceID !== freed.ServiceID) as Task)
    await untilRunning(h1, other.ServiceID, fitting)
    await rm(other.ServiceID)

    const memory = Math.min(...nodes.map((node) => node.Description.Resources.MemoryBytes))
    const half = String(Math.floor(memory * 0.6))
    await h1.swarmctl([
      ...[...CREATE, '--detach', '--name', 'big', '--reserve-memory', half, '--replicas', '3'],
      IMAGE,
    ])
    await untilRunning(h1, 'big', 2)
    const ps = await eventually(
      async () => {
        const { stdout } = await h1.swarmctl(['service', 'ps', '--no-trunc', 'big'])
        return stdout.includes('insufficient memory') && stdout
      },
      { what: 'service ps says why' },
    )
    t.match(ps, /Pending .*no suitable node \(2 nodes: insufficient memory\)/)
    t.equal(new Set((await untilRunning(h1, 'big', 2)).map((task) => task.NodeID)).size, 2)
    await rm('big')
  })

  await t.test('generic resources are one task’s each, and its container is told', async (t) => {
    const wanting = ['--generic-resource', 'GPU=1', '--replicas', '5', '--detach']
    await h1.swarmctl([...CREATE, ...wanting, '--name', 'gpu', IMAGE])
    const running = await untilRunning(h1, 'gpu', 4)
    const own = await Promise.all(
      running.map(async (task) => {
        const { stdout } = await execInTask(lab.hosts, task, [
          'sh',
          '-c',
          'echo $DOCKER_RESOURCE_GPU',
        ])
        t.match(task.GenericResources, [
          { NamedResourceSpec: { Kind: 'GPU', Value: stdout.trim() } },
        ])
        return `${task.NodeID} ${stdout.trim()}`
      }),
    )
    t.equal(new Set(own).size, 4)
    const waiting = (await tasksOf(h1, 'gpu')).find(({ NodeID }) => !NodeID)
    t.match(waiting?.Status.Err, 'no suitable node (2 nodes: insufficient generic resources)')
    await rm('gpu')
  })
})
