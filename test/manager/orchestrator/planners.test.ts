import t from 'tap'
import type { Node } from '../../../src/api/node.ts'
import type { Service } from '../../../src/api/service.ts'
import type { ServiceSpec } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import type { TaskState } from '../../../src/api/task-state.ts'
import {
  BRAKE_HOLD_MS,
  BRAKE_SETTLE_MS,
  planBrake,
} from '../../../src/manager/orchestrator/node-brake.ts'
import { formatOperation } from '../../../src/manager/orchestrator/operation.ts'
import { planReap } from '../../../src/manager/orchestrator/reap-plan.ts'
import {
  NEW_SLOTS_MAX,
  pickSurplus,
  WAITING_SLOTS_MAX,
} from '../../../src/manager/orchestrator/replicated.ts'
import { shouldRestart } from '../../../src/manager/orchestrator/restart.ts'
import { planService } from '../../../src/manager/orchestrator/service-plan.ts'
import { groupSlots, type ServiceState } from '../../../src/manager/orchestrator/service-state.ts'
import { updateRulesOf } from '../../../src/manager/orchestrator/update.ts'
import { UpdateProgress } from '../../../src/manager/orchestrator/update-progress.ts'
import { sampleNode, sampleService, sampleTask } from '../../support/objects.ts'

const nowMs = Date.parse('2026-01-01T01:00:00.000Z')
const at = (offsetMs: number): string => new Date(nowMs + offsetMs).toISOString()

const webService = (change: Partial<ServiceSpec> = {}, SpecVersion = 2): Service => {
  const base = sampleService('web', 'web')
  return { ...base, Spec: { ...base.Spec, ...change }, Swarmctl: { SpecVersion } }
}

const webTask = (id: string, State: TaskState, change: Partial<Task> = {}): Task =>
  sampleTask(id, 'web', {
    CreatedAt: at(-60_000),
    UpdatedAt: at(0),
    NodeID: 'n1',
    Status: { Timestamp: at(0), State, Message: '' },
    Swarmctl: { ...sampleTask('x', 'web').Swarmctl, SpecVersion: 2, Endpoint: { Mode: 'vip' } },
    ...change,
  })

const nodeMap = (...nodes: Node[]): Map<string, Node> =>
  new Map((nodes.length > 0 ? nodes : [sampleNode('n1', 1)]).map((node) => [node.ID, node]))

/** The operations on one service, as text. */
const plan = (tasks: Task[], service = webService(), change: Partial<ServiceState> = {}) => {
  let ids = 0
  const state = {
    service,
    tasks,
    nodes: nodeMap(),
    held: new Set<string>(),
    crowded: new Map(),
    cluster: undefined,
    nowMs,
    newId: () => `new${++ids}`,
    ...change,
  }
  const { operations, wakeAtMs } = planService(state, new UpdateProgress())
  return { lines: operations.map(formatOperation), wakeAtMs }
}

t.test('one slot, table', async (t) => {
  const restart = (Delay: number): Partial<Task> => ({ Spec: { RestartPolicy: { Delay } } })
  const cases: { name: string; tasks: Task[]; lines: string[]; wakeAtMs?: number }[] = [
    {
      name: 'nothing yet',
      tasks: [],
      lines: ['create task new1 of web (slot 1), desired running'],
    },
    { name: 'all well', tasks: [webTask('t1', 'running')], lines: [] },
    {
      name: 'failed: a replacement that waits for its delay',
      tasks: [webTask('t1', 'failed')],
      lines: [
        'task t1: desired shutdown (ended: failed)',
        'create task new1 of web (slot 1), desired ready',
      ],
    },
    {
      name: 'failed without delay: at once',
      tasks: [webTask('t1', 'failed', restart(0))],
      lines: [
        'task t1: desired shutdown (ended: failed)',
        'create task new1 of web (slot 1), desired running',
      ],
    },
    {
      name: 'failed long ago, but the last leader did not come to it',
      tasks: [webTask('t1', 'failed', { UpdatedAt: at(-6000) })],
      lines: [
        'task t1: desired shutdown (ended: failed)',
        'create task new1 of web (slot 1), desired running',
      ],
    },
    {
      name: 'a replacement waits for its time',
      tasks: [
        webTask('t1', 'failed', { DesiredState: 'shutdown' }),
        webTask('t2', 'ready', {
          CreatedAt: at(-10),
          DesiredState: 'ready',
          Swarmctl: { ...webTask('x', 'new').Swarmctl, StartAt: at(5000) },
        }),
      ],
      lines: [],
      wakeAtMs: nowMs + 5000,
    },
    {
      name: 'a replacement made before the clock was set back does not wait for that time',
      tasks: [
        webTask('t1', 'failed', { DesiredState: 'shutdown' }),
        webTask('t2', 'ready', {
          CreatedAt: at(3_600_000),
          DesiredState: 'ready',
          Swarmctl: { ...webTask('x', 'new').Swarmctl, StartAt: at(3_605_000) },
        }),
      ],
      lines: ['task t2: desired running (its predecessor has ended)'],
    },
    {
      name: 'a replacement that could not be prepared keeps the slot until its time',
      tasks: [
        webTask('t1', 'failed', { DesiredState: 'shutdown' }),
        webTask('t2', 'rejected', {
          DesiredState: 'ready',
          Swarmctl: { ...webTask('x', 'new').Swarmctl, StartAt: at(5000) },
        }),
      ],
      lines: [],
      wakeAtMs: nowMs + 5000,
    },
    {
      name: 'a replacement that could not be prepared, at its time: the next one waits the whole delay',
      tasks: [
        webTask('t1', 'failed', { DesiredState: 'shutdown' }),
        webTask('t2', 'rejected', {
          DesiredState: 'ready',
          UpdatedAt: at(-4900),
          Swarmctl: { ...webTask('x', 'new').Swarmctl, StartAt: at(0) },
        }),
      ],
      lines: [
        'task t2: desired shutdown (ended: rejected)',
        'create task new1 of web (slot 1), desired ready',
      ],
    },
    {
      name: 'a replacement waits for the end of its predecessor, bounded',
      tasks: [
        webTask('t1', 'running', { DesiredState: 'shutdown' }),
        webTask('t2', 'ready', { CreatedAt: at(-10), DesiredState: 'ready' }),
      ],
      lines: [],
      wakeAtMs: nowMs - 10 + 60_000 + 10_000,
    },
    {
      name: 'the bound is reached',
      tasks: [
        webTask('t1', 'running', { DesiredState: 'shutdown', CreatedAt: at(-90_000) }),
        webTask('t2', 'ready', { CreatedAt: at(-70_000), DesiredState: 'ready' }),
      ],
      lines: ['task t2: desired running (its predecessor has ended)'],
    },
    {
      name: 'the predecessor has ended',
      tasks: [
        webTask('t1', 'shutdown', { DesiredState: 'shutdown' }),
        webTask('t2', 'ready', { CreatedAt: at(-10), DesiredState: 'ready' }),
      ],
      lines: ['task t2: desired running (its predecessor has ended)'],
    },
    {
      name: 'two for one slot: the running one stays',
      tasks: [webTask('t1', 'starting'), webTask('t2', 'running', { CreatedAt: at(-10) })],
      lines: ['task t1: desired shutdown (another task has taken its place)'],
    },
  ]
  for (const { name, tasks, lines, wakeAtMs } of cases) {
    t.strictSame(plan(tasks), { lines, wakeAtMs }, name)
  }
  const gone = { nodes: nodeMap({ ...sampleNode('n1', 1), Status: { State: 'down', Addr: '' } }) }
  t.strictSame(
    plan([webTask('t1', 'running')], webService(), gone).lines,
    [
      'task t1: desired shutdown (its node is down)',
      'create task new1 of web (slot 1), desired running',
    ],
    'a lost node is not waited for',
  )
  t.strictSame(
    plan([webTask('t1', 'running')], webService(), { ...gone, held: new Set(['n1']) }).lines,
    [],
    'unless the brake holds it',
  )
})

t.test('an update starts in one step, and with the old task still there', async (t) => {
  const old = webTask('t1', 'running', {
    Swarmctl: { ...webTask('x', 'new').Swarmctl, SpecVersion: 1 },
    Spec: { ContainerSpec: { Image: 'nginx:1' } },
  })
  t.strictSame(plan([old]).lines, [
    'service web: updating (update in progress)',
    'task t1: desired shutdown (replaced by new1)',
    'create task new1 of web (slot 1), desired ready',
  ])
  const startFirst = webService({ UpdateConfig: { Order: 'start-first' } })
  t.strictSame(plan([old], startFirst).lines, [
    'service web: updating (update in progress)',
    'create task new1 of web (slot 1), desired running',
  ])
})

t.test(
  'an update config without parallelism updates all at once, as what is shown of it says',
  async (t) => {
    t.equal(updateRulesOf(undefined).parallelism, 1)
    t.equal(updateRulesOf({ Order: 'start-first' }).parallelism, 0)
    t.equal(updateRulesOf({ Parallelism: 2 }).parallelism, 2)
  },
)

t.test('which slots a scale-down takes', async (t) => {
  const slots = [
    ...groupSlots([
      webTask('a', 'running', { Slot: 1, NodeID: 'n1' }),
      webTask('b', 'running', { Slot: 2, NodeID: 'n1' }),
      webTask('c', 'running', { Slot: 3, NodeID: 'n2' }),
      webTask('d', 'starting', { Slot: 4, NodeID: 'n3' }),
      webTask('e', 'running', { Slot: 5, NodeID: 'n1' }),
    ]).values(),
  ]
  t.strictSame(
    pickSurplus(slots, 5).map((slot) => slot.key),
    ['4', '5', '2', '3', '1'],
  )
  t.strictSame(pickSurplus(slots, 0), [])
  t.strictSame(pickSurplus(slots, -2), [])
})

t.test('more tasks than a cluster can hold do not hold up the leader', async (t) => {
  const many = 1_000_000_000
  const modes: ServiceSpec['Mode'][] = [
    { Replicated: { Replicas: many } },
    { ReplicatedJob: { MaxConcurrent: many, TotalCompletions: many } },
  ]
  for (const Mode of modes) {
    const service = { ...webService({ Mode }), JobStatus: { JobIteration: { Index: 0 } } }
    t.equal(plan([], service).lines.length, NEW_SLOTS_MAX)
    const wanted = Mode?.Replicated === undefined ? 'complete' : 'running'
    const tasks = (State: TaskState) =>
      Array.from({ length: WAITING_SLOTS_MAX }, (_, at) =>
        webTask(`t${at}`, State, {
          ...{ Slot: at + 1, NodeID: 'n1', DesiredState: wanted, JobIteration: { Index: 0 } },
        }),
      )
    t.equal(plan(tasks('pending'), service).lines.length, 0, 'those that are on their way first')
    t.equal(plan(tasks('running'), service).lines.length, NEW_SLOTS_MAX)
  }
  const [count, nodes] = [2000, 10]
  const tasks = Array.from({ length: count }, (_, i) =>
    webTask(`t${i}`, 'running', { Slot: i + 1, NodeID: `n${i % nodes}` }),
  )
  let looks = 0
  const slots = [...groupSlots(tasks).values()].map(({ key, seat, tasks }) => ({
    ...{ key, seat },
    get tasks() {
      looks += 1
      return tasks
    },
  }))
  t.equal(pickSurplus(slots, count - 1).length, count - 1)
  t.ok(looks < (count * count) / 10, 'they are not compared each with each')
  t.comment(`${looks} looks`)
})

t.test('attempts within the window', async (t) => {
  const RestartPolicy = { MaxAttempts: 2, Window: 10e9 }
  const ended = (id: string, offsetMs: number): Task =>
    webTask(id, 'failed', {
      Spec: { RestartPolicy },
      Status: { Timestamp: at(offsetMs), State: 'failed', Message: '' },
    })
  const cases: [offsets: number[], restart: boolean][] = [
    [[0], true],
    [[-1000, 0], true],
    [[-2000, -1000, 0], false],
    [[-11_000, -1000, 0], true],
    [[-30_000, -20_000, -11_000, 0], true],
  ]
  for (const [offsets, expected] of cases) {
    const history = offsets.map((offset, i) => ended(`t${i}`, offset))
    const last = history.at(-1)
    t.equal(last && shouldRestart(last, history, false), expected, offsets.join())
  }
})

t.test('the brake', async (t) => {
  const cluster = (count: number, down: number[]): Node[] =>
    Array.from({ length: count }, (_, i) => ({
      ...sampleNode(`n${i + 1}`, i + 1),
      UpdatedAt: at(-(down[i] ?? 0)),
      Status: { State: down[i] === undefined ? ('ready' as const) : ('down' as const), Addr: '' },
    }))
  const old = BRAKE_HOLD_MS + 1
  const cases: [nodes: Node[], held: string[], isEngaged: boolean][] = [
    [cluster(3, [0]), [], false],
    [cluster(3, [0, 0]), [], false],
    [cluster(5, [BRAKE_SETTLE_MS]), [], false],
    [cluster(5, [0]), ['n1'], false],
    [cluster(5, [2000, 1000, 0]), ['n1', 'n2', 'n3'], true],
    [cluster(6, [2000, 1000, 1000]), [], false],
    [cluster(7, [old, 1000, 1000, 1000]), [], false],
    [cluster(6, [old, 1000, 1000, 1000]), ['n2', 'n3', 'n4'], true],
    [cluster(5, [old, old, old]), [], false],
    [cluster(5, [-3_600_000]), [], false],
    [cluster(5, [-3_600_000, -3_600_000, -3_600_000]), [], false],
  ]
  for (const [nodes, held, isEngaged] of cases) {
    const brake = planBrake(nodes, nowMs)
    t.strictSame([[...brake.held], brake.isEngaged], [held, isEngaged])
    t.equal(brake.untilMs !== undefined && brake.untilMs > nowMs, held.length > 0)
  }
})

t.test('what the reaper deletes', async (t) => {
  const old = (id: string, offsetMs: number, change: Partial<Task> = {}): Task =>
    webTask(id, 'failed', { DesiredState: 'shutdown', CreatedAt: at(offsetMs), ...change })
  const history = [old('a', -5), old('b', -4), old('c', -3), old('d', -2)]
  const current = webTask('z', 'running', { CreatedAt: at(0) })
  const attempts = { Spec: { RestartPolicy: { MaxAttempts: 3 } } }
  const cases: [name: string, tasks: Task[], limit: number, deleted: string[]][] = [
    ['within the limit', [...history, current], 5, []],
    ['oldest first', [...history, current], 3, ['a', 'b']],
    ['all but the current one', [...history, current], 0, ['a', 'b', 'c', 'd']],
    ['the last of a finished slot stays', history, 0, ['a', 'b', 'c']],
    ['no limit', [...history, current], -1, []],
    [
      'as many as attempts are counted',
      [...history.map((task) => ({ ...task, ...attempts })), { ...current, ...attempts }],
      1,
      [],
    ],
    ['still wanted', [webTask('a', 'failed'), current], 1, []],
    ['still running', [old('a', -5, { Status: current.Status }), current], 1, []],
    ['to be removed: ended', [old('a', -5, { DesiredState: 'remove' })], 5, ['a']],
    ['to be removed: not yet', [webTask('a', 'running', { DesiredState: 'remove' })], 5, []],
    [
      'to be removed: never had a node',
      [webTask('a', 'pending', { DesiredState: 'remove', NodeID: '' })],
      5,
      ['a'],
    ],
    [
      'to be removed: its node is gone',
      [webTask('a', 'running', { DesiredState: 'remove', NodeID: 'n9' })],
      5,
      ['a'],
    ],
  ]
  for (const [name, tasks, limit, deleted] of cases) {
    const lines = planReap(tasks, nodeMap(), limit).operations.map(formatOperation)
    t.strictSame(
      lines,
      deleted.map((id) => `remove task ${id}`),
      name,
    )
  }
})
