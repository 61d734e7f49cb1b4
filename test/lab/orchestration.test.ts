import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import {
  execInTask,
  nodesByName,
  runningTasksOf,
  serviceOf,
  tasksOf,
  untilRunning,
} from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Orchestration: placement, restarts, updates, dead nodes. Drain is in nodes.test.ts.

const IMAGE = 'swarmctl-test:1'
const BAD = 'swarmctl-test:bad'
const CREATE = [
  ...['service', 'create', '--quiet', '--detach', '--no-resolve-image'],
  ...['--update-monitor', '1s', '--rollback-monitor', '1s', '--restart-delay', '200ms'],
]
const UPDATE = ['service', 'update', '--quiet', '--detach', '--no-resolve-image']
/** How often running tasks are counted while an update rolls, milliseconds. */
const WATCH_MS = 50
const patiently = { timeoutMs: 120_000 }

labTest(t, 'orchestration', { hosts: 3 }, async (t, lab) => {
  const [h1, , h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 1 })
  const create = (name: string, ...args: string[]) =>
    h1.swarmctl([...CREATE, '--name', name, ...args])
  const update = (...args: string[]) => h1.swarmctl([...UPDATE, ...args])
  const rm = (...services: string[]) => h1.swarmctl(['service', 'rm', ...services])
  const hostNames = new Map(
    [...(await nodesByName(h1))].map(([name, node]) => [node.ID, name] as const),
  )
  /** How many tasks are where: `{ h1: 2, h3: 1 }`. */
  const countByHost = (tasks: readonly Task[]): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (const task of tasks) {
      const name = hostNames.get(task.NodeID) ?? ''
      counts[name] = (counts[name] ?? 0) + 1
    }
    return counts
  }
  const ps = async (service: string) =>
    (await h1.swarmctl(['service', 'ps', '--no-trunc', service])).stdout
  const untilPs = (service: string, words: RegExp): Promise<string> =>
    eventually(
      async () => {
        const text = await ps(service)
        return words.test(text) && text
      },
      { what: `service ps ${service} says ${words}`, timeoutMs: 60_000 },
    )
  const untilUpdate = (service: string, ...states: string[]) =>
    eventually(
      async () => {
        const status = (await serviceOf(h1, service)).UpdateStatus
        return states.includes(status?.State ?? '') && status
      },
      { what: `${service}: ${states.join(' or ')}`, timeoutMs: 120_000 },
    )
  const imageOf = (task: Task) => task.Spec.ContainerSpec?.Image
  const end = (task: Task, code: number) =>
    // It may not listen yet, and ends without an answer.
    execInTask(
      lab.hosts,
      task,
      [...['curl', '-s', '--retry', '9', '--retry-connrefused'], `127.0.0.1/exit?code=${code}`],
      { check: false },
    )

  await t.test('spread: evenly, by reservations, preferences and constraints', async (t) => {
    await create('even', '--replicas', '6', IMAGE)
    t.strictSame(countByHost(await untilRunning(h1, 'even', 6)), { h1: 2, h2: 2, h3: 2 })
    await rm('even')

    // What is reserved weighs more than how many tasks there are.
    await create(
      'heavy',
      '--reserve-memory',
      '512M',
      '--constraint',
      'node.hostname!=h3',
      '--replicas',
      '2',
      IMAGE,
    )
    t.strictSame(countByHost(await untilRunning(h1, 'heavy', 2)), { h1: 1, h2: 1 })
    await create('crowd', '--constraint', 'node.hostname==h3', '--replicas', '2', IMAGE)
    t.strictSame(countByHost(await untilRunning(h1, 'crowd', 2)), { h3: 2 })
    await create('light', '--reserve-memory', '16M', IMAGE)
    t.strictSame(countByHost(await untilRunning(h1, 'light', 1)), { h3: 1 })
    await rm('heavy', 'crowd', 'light')

    for (const [host, zone] of [
      ['h1', 'a'],
      ['h2', 'a'],
      ['h3', 'b'],
    ] as const) {
      await h1.swarmctl(['node', 'update', '--label-add', `zone=${zone}`, host])
    }
    await create('zones', '--placement-pref', 'spread=node.labels.zone', '--replicas', '4', IMAGE)
    t.strictSame(countByHost(await untilRunning(h1, 'zones', 4)), { h1: 1, h2: 1, h3: 2 })
    for (const [constraints, expected] of [
      [['node.role==worker', 'node.labels.zone==a'], { h2: 2 }],
      [['node.role!=worker', 'node.platform.os==linux'], { h1: 2 }],
      [['node.labels.zone!=a'], { h3: 2 }],
    ] as const) {
      const flags = constraints.flatMap((text) => ['--constraint', text])
      await create('where', ...flags, '--replicas', '2', IMAGE)
      t.strictSame(countByHost(await untilRunning(h1, 'where', 2)), expected, constraints.join())
      await rm('where')
    }
    // A task whose node no longer meets the constraint moves.
    await create('moves', '--constraint', 'node.labels.zone==b', IMAGE)
    await untilRunning(h1, 'moves', 1, { on: ['h3'] })
    await h1.swarmctl(['node', 'update', '--label-add', 'zone=a', 'h3'])
    await h1.swarmctl(['node', 'update', '--label-add', 'zone=b', 'h2'])
    await untilRunning(h1, 'moves', 1, { on: ['h2'] })
    await rm('zones', 'moves')
  })

  await t.test(
    'a task that fits nowhere says per node why, and is placed when it fits',
    async (t) => {
      await create('picky', '--constraint', 'node.labels.disk==ssd', IMAGE)
      const reason =
        /Pending .*no suitable node \(3 nodes: constraint node\.labels\.disk ?== ?ssd not met\)/
      await untilPs('picky', reason)
      await h1.swarmctl(['node', 'update', '--label-add', 'disk=ssd', 'h2'])
      await untilRunning(h1, 'picky', 1, { on: ['h2'] })

      await create('max', '--replicas-max-per-node', '1', '--replicas', '4', IMAGE)
      await untilRunning(h1, 'max', 3)
      await untilPs('max', /no suitable node \(3 nodes: max replicas per node \(1\) reached\)/)
      t.match(
        (await h1.swarmctl(['service', 'ls'])).stdout,
        /max +replicated +3\/4 \(max 1 per node\)/,
      )

      await create(
        'port',
        '--publish',
        'published=7070,target=80,mode=host',
        '--replicas',
        '4',
        IMAGE,
      )
      t.strictSame(countByHost(await untilRunning(h1, 'port', 3)), { h1: 1, h2: 1, h3: 1 })
      await untilPs('port', /no suitable node \(3 nodes: host-mode port tcp\/7070 already in use\)/)
      await h1.swarmctl(['service', 'scale', '-d', 'port=1'])
      await untilRunning(h1, 'port', 1)

      await h1.swarmctl(['node', 'update', '--availability', 'pause', 'h3'])
      await create('mixed', '--reserve-memory', '100T', '--constraint', 'node.hostname!=h2', IMAGE)
      const text = await untilPs('mixed', /no suitable node \(/)
      for (const part of [
        'node h1: insufficient memory',
        'node h2: constraint node.hostname',
        'node h3: availability is pause',
      ]) {
        t.ok(text.includes(part), `${part} in ${text}`)
      }
      const foreign = await h1.apiRequest('/services/create', {
        body: {
          Name: 'foreign',
          TaskTemplate: {
            ContainerSpec: { Image: IMAGE },
            Placement: { Platforms: [{ OS: 'linux', Architecture: 's390x' }] },
          },
        },
      })
      t.equal(foreign.status, 201)
      await untilPs('foreign', /unsupported platform linux\/\w+/)
      const attached = await h1.swarmctl(
        [
          ...['service', 'create', '--no-resolve-image', '--wait-limit', '3s', '--name', 'waits'],
          ...['--reserve-memory', '100T', IMAGE],
        ],
        { check: false },
      )
      t.equal(attached.code, 1)
      t.match(attached.stderr, /insufficient memory/)
      await h1.swarmctl(['node', 'update', '--availability', 'active', 'h3'])
      await rm('picky', 'max', 'port', 'mixed', 'waits', 'foreign')
    },
  )

  await t.test(
    'restart policy: condition, delay, attempts; history is kept and reaped',
    async (t) => {
      await create('never', '--restart-condition', 'none', IMAGE)
      await create('failure', '--restart-condition', 'on-failure', IMAGE)
      // Longer than the default of 5 s.
      await create('any', '--restart-condition', 'any', '--restart-delay', '6s', IMAGE)
      const counted = ['--restart-max-attempts', '2', '--restart-delay', '0s']
      await create('attempts', ...counted, BAD)
      await create('loop', '--restart-delay', '100ms', BAD)
      // Each attempt is alone in its window, so that there is always one more.
      const windowed = ['--restart-max-attempts', '1', '--restart-window', '1s']
      await create('window', ...windowed, '--restart-delay', '1500ms', BAD)
      const [never] = (await untilRunning(h1, 'never', 1)) as [Task]
      const [failure] = (await untilRunning(h1, 'failure', 1)) as [Task]
      const [any] = (await untilRunning(h1, 'any', 1)) as [Task]
      await Promise.all([end(never, 3), end(failure, 3), end(any, 0)])
      const untilNext = (service: string, old: Task): Promise<Task> =>
        eventually(
          async () => (await runningTasksOf(h1, service)).find((task) => task.ID !== old.ID),
          { what: `the next task of ${service}`, timeoutMs: 60_000 },
        )
      const byId = async (task: Task) => (await h1.apiRequest(`/tasks/${task.ID}`)).json<Task>()
      const second = await untilNext('failure', failure)
      t.match((await byId(failure)).Status, { State: 'failed', ContainerStatus: { ExitCode: 3 } })
      t.match(
        await ps('failure'),
        /\\_ failure\.1 .*Shutdown +Failed .*\(3\)/,
        'with the exit code',
      )
      const next = await untilNext('any', any)
      const ended = (await byId(any)).Status
      t.equal(ended.State, 'complete')
      const pauseMs = Date.parse(next.Status.Timestamp) - Date.parse(ended.Timestamp)
      t.ok(pauseMs >= 6000, `--restart-delay: ${pauseMs} ms`)
      await end(second, 0)
      await eventually(async () => (await byId(second)).Status.State === 'complete', {
        what: 'the second task has completed',
        timeoutMs: 60_000,
      })
      await eventually(
        async () => {
          const tasks = await tasksOf(h1, 'attempts')
          return (
            tasks.length === 3 &&
            tasks.every(
              (task) => task.Status.State === 'failed' && task.DesiredState === 'shutdown',
            )
          )
        },
        { what: 'three attempts, the first and two more', timeoutMs: 60_000 },
      )

      const seen = new Set<string>()
      await eventually(
        async () => {
          for (const task of await tasksOf(h1, 'loop')) seen.add(task.ID)
          return seen.size >= 9
        },
        { what: 'nine tasks in a row', timeoutMs: 120_000 },
      )
      const kept = await eventually(
        async () => {
          const tasks = await tasksOf(h1, 'loop')
          return tasks.length <= 6 && tasks
        },
        { what: 'history of five', timeoutMs: 60_000 },
      )
      t.ok(kept.length >= 5, `kept: ${kept.length}`)
      await eventually(
        async () => {
          const lists = await Promise.all(
            lab.hosts.map((host) =>
              host.docker(['ps', '-aq', '--filter', 'label=com.docker.swarm.service.name=loop']),
            ),
          )
          return lists.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean)).length <= 7
        },
        { what: 'containers of reaped tasks are removed', timeoutMs: 60_000 },
      )
      await eventually(async () => (await tasksOf(h1, 'window')).length >= 4, {
        what: 'more attempts than the window allows at a time',
        timeoutMs: 60_000,
      })
      // By now whoever would be restarted wrongly was.
      t.equal((await tasksOf(h1, 'never')).length, 1, 'none')
      t.equal((await tasksOf(h1, 'failure')).length, 2, 'on-failure: completed is no failure')
      t.equal((await tasksOf(h1, 'attempts')).length, 3, '--restart-max-attempts')
      await rm('never', 'failure', 'any', 'attempts', 'loop', 'window')
    },
  )

  await t.test('rolling update: parallelism, delay, stop-first and start-first', async (t) => {
    /** Rolls `service` to an image and returns the fewest and the most tasks that ran meanwhile. */
    const roll = async (service: string, image: string, ...args: string[]) => {
      const counts: number[] = []
      await update('--image', image, ...args, service)
      await eventually(
        async () => {
          const tasks = await tasksOf(h1, service)
          counts.push(tasks.filter((task) => task.Status.State === 'running').length)
          return (await serviceOf(h1, service)).UpdateStatus?.State === 'completed'
        },
        { what: `${service} is at ${image}`, timeoutMs: 120_000, intervalMs: WATCH_MS },
      )
      const tasks = await untilRunning(h1, service, 6)
      t.ok(tasks.every((task) => imageOf(task) === image))
      return { fewest: Math.min(...counts), most: Math.max(...counts), tasks }
    }
    await create('roll', '--replicas', '6', IMAGE)
    await untilRunning(h1, 'roll', 6)
    const stopFirst = await roll(
      'roll',
      'swarmctl-test:2',
      ...['--update-parallelism', '2', '--update-delay', '2s', '--update-order', 'stop-first'],
    )
    t.equal(stopFirst.fewest, 4, 'two at a time')
    t.ok(stopFirst.most <= 6, `never more than six: ${stopFirst.most}`)
    const times = stopFirst.tasks.map((task) => Date.parse(task.CreatedAt)).sort((a, b) => a - b)
    for (const first of [2, 4]) {
      const gapMs = (times[first] as number) - (times[first - 1] as number)
      t.ok(gapMs >= 2000, `--update-delay: ${gapMs} ms between batches`)
    }
    const startFirst = await roll(
      'roll',
      'swarmctl-test:3',
      ...['--update-parallelism', '3', '--update-delay', '0s', '--update-order', 'start-first'],
    )
    t.ok(startFirst.fewest >= 6, `never fewer than six: ${startFirst.fewest}`)
    t.ok(startFirst.most <= 9, `three at a time: ${startFirst.most}`)
    const unchanged = (await untilRunning(h1, 'roll', 6)).map((task) => task.ID).sort()
    await update('--label-add', 'only=service', '--update-delay', '1s', 'roll')
    await h1.swarmctl(['service', 'scale', '-d', 'roll=7'])
    const after = (await untilRunning(h1, 'roll', 7)).map((task) => task.ID)
    t.ok(
      unchanged.every((id) => after.includes(id)),
      'what no container sees replaces none',
    )
    await rm('roll')
  })

  await t.test('failed updates: pause, continue, rollback, the ratio', async (t) => {
    const roll = ['--update-parallelism', '1', '--replicas', '3']
    // With a pause in between, the first failure is known before the second task would be replaced.
    await create('pauses', ...roll, '--update-delay', '3s', IMAGE)
    await create('continues', ...roll, '--update-failure-action', 'continue', IMAGE)
    await create('returns', ...roll, '--update-failure-action', 'rollback', IMAGE)
    await create('tolerates', ...roll, '--update-max-failure-ratio', '1', IMAGE)
    await create('monitored', IMAGE)
    for (const name of ['pauses', 'continues', 'returns', 'tolerates'])
      await untilRunning(h1, name, 3)
    await update('--image', BAD, 'pauses')
    await update('--image', BAD, 'continues')
    await update('--image', BAD, 'tolerates')
    const returned = await h1.swarmctl(
      ['service', 'update', '-q', '--no-resolve-image', '--image', BAD, 'returns'],
      { ...patiently, check: false },
    )
    t.equal(returned.code, 1, 'a rollback is told by the exit code')
    t.match(returned.stderr, /rolled back/)
    t.equal((await serviceOf(h1, 'returns')).UpdateStatus?.State, 'rollback_completed')
    t.ok((await untilRunning(h1, 'returns', 3)).every((task) => imageOf(task) === IMAGE))

    // It runs for a while, but not as long as it is watched.
    const late = ['--args', 'sh -c "sleep 2; exit 1"', '--update-monitor', '60s']
    await update(...late, 'monitored')
    const paused = await untilUpdate('pauses', 'paused')
    t.match(paused?.Message, /update paused due to failure or early termination of task \w+/)
    // The updated slot goes on trying: its task may run for a moment.
    const left = (await runningTasksOf(h1, 'pauses')).filter((task) => imageOf(task) === IMAGE)
    t.equal(left.length, 2, 'the others were left alone')
    await update('--image', 'swarmctl-test:2', 'pauses')
    await untilUpdate('pauses', 'completed')
    t.ok((await untilRunning(h1, 'pauses', 3)).every((task) => imageOf(task) === 'swarmctl-test:2'))

    for (const name of ['continues', 'tolerates']) {
      await eventually(
        async () => {
          const tasks = (await tasksOf(h1, name)).filter((task) => imageOf(task) === BAD)
          return new Set(tasks.map((task) => task.Slot)).size === 3
        },
        { what: `${name}: every slot was updated`, timeoutMs: 120_000 },
      )
      await untilUpdate(name, 'completed')
      t.equal((await runningTasksOf(h1, name)).filter((task) => imageOf(task) === IMAGE).length, 0)
    }
    await h1.swarmctl(['service', 'rollback', '-q', 'tolerates'], patiently)
    t.ok((await untilRunning(h1, 'tolerates', 3)).every((task) => imageOf(task) === IMAGE))
    await untilUpdate('monitored', 'paused')
    await rm('pauses', 'continues', 'returns', 'tolerates', 'monitored')
  })

  await t.test("a dead node's tasks run elsewhere; the node comes back", async (t) => {
    await create('moves', '--replicas', '6', IMAGE)
    await create('everywhere', '--mode', 'global', IMAGE)
    await untilRunning(h1, 'moves', 6)
    await untilRunning(h1, 'everywhere', 3)
    h3.die()
    const tasks = await eventually(
      async () => {
        const running = (await runningTasksOf(h1, 'moves')).filter(
          (task) => hostNames.get(task.NodeID) !== 'h3',
        )
        return running.length === 6 && running
      },
      { what: 'six tasks on h1 and h2', timeoutMs: 90_000 },
    )
    t.strictSame(countByHost(tasks), { h1: 3, h2: 3 })
    t.match((await h1.swarmctl(['node', 'ls'])).stdout, /h3 +Down +Active/)
    t.match(await ps('moves'), /\\_ moves\.\d +swarmctl-test:1 +h3 +Shutdown/)
    t.match((await h1.swarmctl(['service', 'ls'])).stdout, /everywhere +global +2\/2/)
    await h3.reboot()
    await h3.spawnDaemon([])
    await untilRunning(h1, 'everywhere', 3, { timeoutMs: 90_000 })
    t.strictSame(countByHost(await untilRunning(h1, 'moves', 6)), { h1: 3, h2: 3 }, 'stay')
    await eventually(
      async () => (await h3.docker(['ps', '-q'])).stdout.trim().split('\n').length === 1,
      { what: 'h3 runs the global task alone: what moved away was stopped', timeoutMs: 60_000 },
    )
    await update('--force', '--update-parallelism', '0', 'moves')
    await untilUpdate('moves', 'completed')
    const spread = countByHost(await untilRunning(h1, 'moves', 6))
    t.ok((spread.h3 ?? 0) >= 1, 'new tasks go there again')
  })
})
