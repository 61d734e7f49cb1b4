import t from 'tap'
import type { Node } from '../../src/api/node.ts'
import type { Service } from '../../src/api/service.ts'
import type { ServiceMode } from '../../src/api/service-spec.ts'
import type { Task } from '../../src/api/task.ts'
import type { TaskState } from '../../src/api/task-state.ts'
import { convergence } from '../../src/cli/service/convergence.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { sampleNode, sampleService, sampleTask } from '../support/objects.ts'

const service = (Mode: ServiceMode, change: Partial<Service> = {}): Service => {
  const base = sampleService('web1', 'web')
  const job = Mode.ReplicatedJob ?? Mode.GlobalJob
  return {
    ...base,
    Spec: { ...base.Spec, Mode },
    ...(job && { JobStatus: { JobIteration: { Index: 2 } } }),
    ...change,
  }
}

let made = 0
const task = (
  slot: number | string,
  State: TaskState,
  DesiredState: TaskState = 'running',
  change: Partial<Task> = {},
): Task => ({
  ...sampleTask(`t${++made}`, 'web1', {
    CreatedAt: new Date(made * 1000).toISOString(),
    DesiredState,
    Status: { Timestamp: '2026-01-01T00:00:00Z', State, Message: `is ${State}` },
    ...(typeof slot === 'number' ? { Slot: slot } : { NodeID: slot }),
    ...change,
  }),
  ...(typeof slot === 'string' && { Slot: undefined as never }),
})

const iteration = (Index: number) => ({ JobIteration: { Index } })
const replicated = (Replicas: number, change: Partial<Service> = {}) =>
  service({ Replicated: { Replicas } }, change)
const onlySsd = (Mode: ServiceMode): Service => {
  const one = service(Mode)
  one.Spec.TaskTemplate.Placement = { Constraints: ['node.labels.disk==ssd'] }
  return one
}
const onPlatform = (Architecture: string): Service => {
  const one = service({ Global: {} })
  one.Spec.TaskTemplate.Placement = { Platforms: [{ OS: 'linux', Architecture }] }
  return one
}
const second = sampleNode('n2', 2)
second.Description.Platform = { OS: 'linux', Architecture: 'aarch64' }
const nodes: Node[] = [
  sampleNode('n1', 1),
  second,
  sampleNode('n3', 3, { Spec: { Labels: {}, Role: 'worker', Availability: 'drain' } }),
  sampleNode('n4', 4, { Status: { State: 'down', Addr: '' } }),
]
const failed = { Timestamp: '', State: 'failed', Message: 'started', Err: 'exit 1' } as const

const CASES: [
  name: string,
  service: Service,
  tasks: Task[],
  kind: string,
  summary: string,
  message?: RegExp,
][] = [
  ['nothing yet', replicated(2), [], 'progressing', '0 out of 2 tasks'],
  ['no replicas', replicated(0), [], 'running', '0 out of 0 tasks'],
  [
    'some run',
    replicated(2),
    [task(1, 'running'), task(2, 'starting')],
    'progressing',
    '1 out of 2 tasks',
  ],
  [
    'all run',
    replicated(2),
    [task(1, 'running'), task(2, 'running')],
    'running',
    '2 out of 2 tasks',
  ],
  [
    'a job that an older version rolled back',
    service(
      { ReplicatedJob: { TotalCompletions: 1, MaxConcurrent: 1 } },
      { UpdateStatus: { State: 'rollback_started', Message: 'as asked' } },
    ),
    [task(1, 'complete', 'complete', iteration(2))],
    'completed',
    '1 out of 1 tasks',
  ],
  [
    'one waits and says why',
    replicated(1),
    [task(1, 'pending')],
    'progressing',
    '0 out of 1 tasks',
    /^is pending$/,
  ],
  [
    'the newest of a slot counts',
    replicated(1),
    [task(1, 'failed', 'shutdown'), task(1, 'running')],
    'running',
    '1 out of 1 tasks',
  ],
  [
    'a failed task whose successor waits',
    replicated(1),
    [task(1, 'failed', 'shutdown'), task(1, 'ready', 'ready')],
    'progressing',
    '0 out of 1 tasks',
  ],
  [
    'failed, not yet looked at',
    replicated(1),
    [task(1, 'failed')],
    'progressing',
    '0 out of 1 tasks',
  ],
  [
    'given up',
    replicated(2),
    [task(1, 'running'), task(2, 'failed', 'shutdown', { Status: failed })],
    'failed',
    '1 out of 2 tasks',
    /^task t\d+ ended and is not restarted: exit 1$/,
  ],
  [
    'after a scale-down old slots do not matter',
    replicated(1),
    [task(1, 'running'), task(2, 'shutdown', 'shutdown'), task(3, 'running', 'remove')],
    'running',
    '1 out of 1 tasks',
  ],
  [
    'an update goes on',
    replicated(1, { UpdateStatus: { State: 'updating', Message: 'update in progress' } }),
    [task(1, 'running')],
    'progressing',
    '1 out of 1 tasks',
    /update in progress/,
  ],
  [
    'an update is done',
    replicated(1, { UpdateStatus: { State: 'completed' } }),
    [task(1, 'running')],
    'running',
    '1 out of 1 tasks',
  ],
  [
    'an update paused',
    replicated(1, { UpdateStatus: { State: 'paused', Message: 'task t1 failed' } }),
    [task(1, 'running')],
    'failed',
    '1 out of 1 tasks',
    /^service update paused: task t1 failed$/,
  ],
  [
    'a rollback paused',
    replicated(1, { UpdateStatus: { State: 'rollback_paused', Message: 'x' } }),
    [],
    'failed',
    '0 out of 1 tasks',
    /^service rollback paused: x$/,
  ],
  ['global, nothing yet', service({ Global: {} }), [], 'progressing', '0 out of 2 tasks'],
  [
    'global, on every node that is up and active',
    service({ Global: {} }),
    [task('n1', 'running'), task('n2', 'running'), task('n4', 'shutdown', 'shutdown')],
    'running',
    '2 out of 2 tasks',
  ],
  ['global, no node fits', onlySsd({ Global: {} }), [], 'running', '0 out of 0 tasks'],
  [
    'global, a node of another platform',
    onPlatform('amd64'),
    [task('n1', 'running'), task('n2', 'pending')],
    'running',
    '1 out of 1 tasks',
  ],
  [
    'global, all nodes of another platform',
    onPlatform('s390x'),
    [task('n1', 'pending'), task('n2', 'pending')],
    'progressing',
    '0 out of 2 tasks',
  ],
  ['global job, nothing yet', service({ GlobalJob: {} }), [], 'progressing', '0 out of 2 tasks'],
  [
    'global job, done',
    service({ GlobalJob: {} }),
    ['n1', 'n2'].map((id) => task(id, 'complete', 'complete', iteration(2))),
    'completed',
    '2 out of 2 tasks',
  ],
  [
    'job, half done',
    service({ ReplicatedJob: { TotalCompletions: 2, MaxConcurrent: 1 } }),
    [task(0, 'complete', 'complete', iteration(2)), task(1, 'running', 'complete', iteration(2))],
    'progressing',
    '1 out of 2 tasks',
  ],
  [
    'job, done',
    service({ ReplicatedJob: { TotalCompletions: 1 } }),
    [task(0, 'complete', 'complete', iteration(2))],
    'completed',
    '1 out of 1 tasks',
  ],
  [
    'job, only the run before is done',
    service({ ReplicatedJob: { TotalCompletions: 1 } }),
    [task(0, 'complete', 'complete', iteration(1))],
    'progressing',
    '0 out of 1 tasks',
  ],
  [
    'job, given up',
    service({ ReplicatedJob: { TotalCompletions: 1 } }),
    [task(0, 'failed', 'shutdown', { ...iteration(2), Status: failed })],
    'failed',
    '0 out of 1 tasks',
    /not restarted: exit 1/,
  ],
]

t.test('how far a service is, from one look', async (t) => {
  for (const [name, one, tasks, kind, summary, message] of CASES) {
    const now = convergence(one, tasks, nodes)
    t.match({ ...now }, { kind, summary, ...(message && { message }) }, name)
  }
  const { slots } = convergence(service({ Global: {} }), [task('n1', 'starting')], nodes)
  t.strictSame(slots, [{ label: 'host-1', state: 'starting', error: '' }])
})

/** A service on a node's API, and a clock that only the command's own pauses move. */
const waiting = async (t: { teardown(end: () => Promise<void>): void }) => {
  const node = await ApiNode.start()
  t.teardown(() => node.stop())
  const time = { nowMs: 1_000_000, pauses: 0 }
  /** What the cluster does during the n-th pause. */
  const script = new Map<number, () => Promise<void>>()
  const run = (args: string[], signal?: AbortSignal) =>
    runCli(['-H', node.host, 'service', ...args], {
      ...(signal && { signal }),
      nowMs: () => time.nowMs,
      async sleep(ms) {
        time.nowMs += ms
        await script.get(++time.pauses)?.()
        signal?.throwIfAborted()
      },
    })
  const setTask = (State: TaskState, DesiredState: TaskState = 'running') =>
    node.swarm.store.update((tx) => {
      const { ID, Swarmctl, Spec } = tx.byName('service', 'web')!
      const base = sampleTask('task1', ID)
      tx.put('task', {
        ...base,
        Spec: Spec.TaskTemplate,
        DesiredState,
        Status: { Timestamp: '2026-01-01T00:00:00Z', State, Message: `is ${State}` },
        Swarmctl: {
          ...base.Swarmctl,
          SpecVersion: Swarmctl.SpecVersion,
          Endpoint: Spec.EndpointSpec ?? {},
        },
      })
    })
  const setUpdate = (State: NonNullable<Service['UpdateStatus']>['State'], Message = '') =>
    node.swarm.store.update((tx) => {
      const one = tx.byName('service', 'web')!
      tx.put('service', { ...one, UpdateStatus: { State, Message } })
    })
  return { node, time, script, run, setTask, setUpdate }
}
const CREATE = ['create', '--no-resolve-image', '--name', 'web']

t.test('create waits until the tasks have run for the monitor’s time', async (t) => {
  const { time, script, run, setTask } = await waiting(t)
  script.set(2, () => setTask('preparing'))
  script.set(4, () => setTask('running'))
  script.set(6, () => setTask('failed'))
  script.set(8, () => setTask('running'))
  const ran = await run([...CREATE, 'nginx'])
  t.equal(ran.code, 0)
  t.match(
    ran.out.split('\n').slice(1),
    [
      'overall progress: 0 out of 1 tasks',
      'overall progress: 1 out of 1 tasks',
      'overall progress: 0 out of 1 tasks',
      'overall progress: 1 out of 1 tasks',
      /^service id\d+ converged$/,
      '',
    ],
    'a line whenever something changed',
  )
  t.equal(time.pauses, 8 + 25, '5 s by looks every 200 ms, from when it ran for good')
})

t.test('how waiting ends otherwise', async (t) => {
  const { time, script, run, setTask, setUpdate } = await waiting(t)
  const limited = await run([...CREATE, '--wait-limit', '2s', '-q', 'nginx'])
  t.match(limited, {
    code: 1,
    err: /^swarmctl: service web did not converge within 2s: 0 out of 1 tasks.*"swarmctl why web"\n$/,
  })
  t.equal(time.nowMs - 1_000_000, 2200)
  script.set(time.pauses + 1, () => setUpdate('paused', 'task task1 failed'))
  const paused = await run(['update', '-q', '--env-add', 'A=1', 'web'])
  t.strictSame(
    [paused.code, paused.err],
    [1, 'swarmctl: service update paused: task task1 failed\n'],
  )
  await setTask('failed', 'shutdown')
  const gaveUp = await run(['scale', 'web=1'])
  t.match(gaveUp, {
    code: 1,
    err: /^swarmctl: task task1 ended and is not restarted: is failed\n$/,
  })
  script.set(time.pauses + 1, async () => {
    await setUpdate('rollback_completed', 'it failed')
  })
  await setTask('running')
  const back = await run(['update', '-q', '--label-add', 'x=y', 'web'])
  t.strictSame([back.code, back.err], [1, 'service rolled back: it failed\n'])
  script.set(time.pauses + 1, async () => {
    await setUpdate('rollback_completed', 'as asked')
  })
  t.match(
    await run(['rollback', '-q', 'web']),
    { code: 0, err: '' },
    'that it went back was asked for',
  )
  const interrupt = new AbortController()
  script.set(time.pauses + 1, async () => interrupt.abort())
  const detached = await run(['rollback', 'web'], interrupt.signal)
  t.strictSame([detached.code, detached.err], [130, ''], 'Ctrl-C')
  const before = time.pauses
  t.equal((await run(['rollback', '--detach', 'web'])).code, 0)
  t.equal((await run(['scale', '-d', 'web=3'])).out, 'web scaled to 3\n')
  t.equal(time.pauses, before, 'detached commands do not wait')
})

t.test('a change of the leader ends no wait, a lasting loss does', async (t) => {
  const { node, time, script, run, setTask, setUpdate } = await waiting(t)
  const lead = async () => {
    node.swarm.leader = { kind: 'self' }
  }
  const lose = async () => {
    node.swarm.leader = { kind: 'none', message: 'nobody leads' }
  }
  const wins = async (args: string[], end: () => Promise<void>) => {
    script.set(time.pauses + 2, lose)
    script.set(time.pauses + 20, lead)
    script.set(time.pauses + 22, end)
    t.match(await run(args), { code: 0, out: /^service \S+ converged$/m, err: '' }, args.join(' '))
  }
  await wins([...CREATE, 'nginx'], () => setTask('running'))
  await wins(['update', '--env-add', 'A=1', 'web'], () => setTask('running'))
  await wins(['scale', 'web=1'], () => setTask('running'))
  await wins(['rollback', 'web'], async () => {
    await setTask('running')
    await setUpdate('rollback_completed', 'as asked')
  })
  const lost = async (args: string[]) => {
    const startMs = time.nowMs
    script.set(time.pauses + 2, lose)
    t.match(await run(args), {
      code: 1,
      err: /^swarmctl: service \S+ goes on, but is out of sight: nobody leads\n$/,
    })
    await lead()
    return time.nowMs - startMs
  }
  t.equal(await lost(['update', '-q', '--env-add', 'A=2', 'web']), 60_400)
  t.equal(await lost(['update', '-q', '--env-add', 'A=3', '--wait-limit', '2s', 'web']), 2_000)
})
