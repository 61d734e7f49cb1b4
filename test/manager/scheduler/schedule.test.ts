import t from 'tap'
import type { Node } from '../../../src/api/node.ts'
import type { GenericResource, PortConfig, TaskSpec } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import { schedule } from '../../../src/manager/scheduler/schedule.ts'
import { sampleNode, sampleTask } from '../../support/objects.ts'

const nowMs = Date.parse('2026-01-01T00:00:00.000Z')
const GB = 1e9

const pending = (id: string, spec: TaskSpec = {}, change: Partial<Task> = {}): Task =>
  sampleTask(id, 'web', {
    Spec: { ContainerSpec: { Image: 'nginx' }, ...spec },
    Status: { Timestamp: '', State: 'pending', Message: '' },
    ...change,
  })

const placed = (id: string, NodeID: string, change: Partial<Task> = {}): Task =>
  pending(id, {}, { NodeID, Status: { Timestamp: '', State: 'running', Message: '' }, ...change })

const memory = (bytes: number): TaskSpec => ({
  Resources: { Reservations: { MemoryBytes: bytes } },
})

const labelled = (index: number, Labels: Record<string, string>): Node =>
  sampleNode(`n${index}`, index, { Spec: { Labels, Role: 'worker', Availability: 'active' } })

const nodes = (count: number): Node[] =>
  Array.from({ length: count }, (_, i) => sampleNode(`n${i + 1}`, i + 1))

/** Task id → node id. */
const assign = (all: Node[], existing: Task[], tasks: Task[]): Record<string, string> =>
  Object.fromEntries(
    schedule({ nodes: all, tasks: existing, nowMs }, tasks).assignments.map(
      ({ taskId, nodeId }) => [taskId, nodeId],
    ),
  )

const explain = (all: Node[], existing: Task[], task: Task): string | undefined =>
  schedule({ nodes: all, tasks: existing, nowMs }, [task]).unplaced[0]?.explanation

const hostPort = (PublishedPort: number, HostIP?: string): Partial<Task> => {
  const port: PortConfig = {
    ...(HostIP !== undefined && { Swarmctl: { HostIP } }),
    Protocol: 'tcp',
    TargetPort: 80,
    PublishedPort,
    PublishMode: 'host',
  }
  return { Swarmctl: { ...pending('x').Swarmctl, Endpoint: { Ports: [port] } } }
}

t.test('why there is no suitable node', async (t) => {
  const [a, b, c] = nodes(3) as [Node, Node, Node]
  const down: Node = { ...a, Status: { ...a.Status, State: 'down' } }
  const drained: Node = { ...a, Spec: { ...a.Spec, Availability: 'drain' } }
  const engineless: Node = {
    ...a,
    Description: {
      ...a.Description,
      Swarmctl: { ...a.Description.Swarmctl, EngineError: 'connection refused' },
    },
  }
  const ssd: TaskSpec = { Placement: { Constraints: ['node.labels.disk == ssd'] } }
  const cases: [nodes: Node[], existing: Task[], task: Task, explanation: string][] = [
    [[], [], pending('t'), 'the cluster has none'],
    [[down], [], pending('t'), 'node host-1: is down'],
    [[drained], [], pending('t'), 'node host-1: availability is drain'],
    [[engineless], [], pending('t'), 'node host-1: Docker Engine: connection refused'],
    [
      [a, b, labelled(3, { disk: 'hdd' })],
      [placed('o1', 'n3', { Spec: memory(6 * GB) })],
      pending('t', { ...memory(9 * GB), Placement: { Constraints: ['node.hostname!=host-3'] } }),
      '2 nodes: insufficient memory; node host-3: constraint node.hostname!=host-3 not met',
    ],
    [[a], [], pending('t', ssd), 'node host-1: constraint node.labels.disk==ssd not met'],
    [
      [a],
      [],
      pending('t', { Resources: { Reservations: { NanoCPUs: 5e9, MemoryBytes: 9 * GB } } }),
      'node host-1: insufficient CPU and memory',
    ],
    [
      [a],
      [],
      pending('t', {
        Resources: {
          Reservations: { GenericResources: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 1 } }] },
        },
      }),
      'node host-1: insufficient generic resources',
    ],
    [
      [a],
      [],
      pending('t', { Placement: { Platforms: [{ OS: 'linux', Architecture: 'arm64' }] } }),
      'node host-1: unsupported platform linux/amd64',
    ],
    [
      [a],
      [placed('o1', 'n1', hostPort(80))],
      pending('t', {}, hostPort(80)),
      'node host-1: host-mode port tcp/80 already in use',
    ],
    [
      [a, b, c],
      [placed('o1', 'n1'), placed('o2', 'n2'), placed('o3', 'n3')],
      pending('t', { Placement: { MaxReplicas: 1 } }),
      '3 nodes: max replicas per node (1) reached',
    ],
    [
      [a, b],
      [],
      pending('t', ssd, { NodeID: 'n2' }),
      'node host-2: constraint node.labels.disk==ssd not met',
    ],
  ]
  for (const [all, existing, task, explanation] of cases) {
    t.equal(explain(all, existing, task), `no suitable node (${explanation})`, explanation)
  }
})

t.test('a host port at one address leaves the others free', async (t) => {
  const at = (HostIP?: string) => hostPort(80, HostIP)
  const cases: [held: (string | undefined)[], wanted: string | undefined, taken: string][] = [
    [['127.0.0.1'], '10.0.0.1', ''],
    [['127.0.0.1', '::1'], '10.0.0.1', ''],
    [['127.0.0.1'], '127.0.0.1', 'tcp/80 at 127.0.0.1'],
    [['::1'], '0:0:0:0:0:0:0:1', 'tcp/80 at ::1'],
    [['127.0.0.1'], undefined, 'tcp/80'],
    [['127.0.0.1'], '0.0.0.0', 'tcp/80'],
    [['127.0.0.1', undefined], '10.0.0.1', 'tcp/80 at 10.0.0.1'],
    [['::'], '10.0.0.1', 'tcp/80 at 10.0.0.1'],
  ]
  for (const [held, wanted, taken] of cases) {
    const existing = held.map((address, i) => placed(`o${i}`, 'n1', at(address)))
    const reason = taken && `no suitable node (node host-1: host-mode port ${taken} already in use)`
    const explained = explain(nodes(1), existing, pending('t', {}, at(wanted))) ?? ''
    t.equal(explained, reason, `${held} and ${wanted}`)
  }
  const both = ['a', 'b', 'c'].map((id, i) => pending(id, {}, at(`10.0.0.${(i % 2) + 1}`)))
  const plan = schedule({ nodes: nodes(1), tasks: [], nowMs }, both)
  t.equal(plan.unplaced.length, 1, 'also among those that are placed together')
})

t.test('what has ended frees what it held, what is told to stop does not yet', async (t) => {
  const big = memory(8 * GB)
  const stopping = placed('o1', 'n1', { Spec: big, DesiredState: 'shutdown' })
  t.match(explain(nodes(1), [stopping], pending('t', big)), /insufficient memory/)
  const ended = placed('o1', 'n1', {
    Spec: big,
    DesiredState: 'shutdown',
    Status: { Timestamp: '', State: 'shutdown', Message: '' },
  })
  t.strictSame(assign(nodes(1), [ended], [pending('t', big)]), { t: 'n1' })
  t.strictSame(
    assign(
      nodes(1),
      [placed('o1', 'n1', { DesiredState: 'shutdown' })],
      [pending('t', { Placement: { MaxReplicas: 1 } })],
    ),
    { t: 'n1' },
    'replicas per node count wanted tasks',
  )
})

t.test('order of preference', async (t) => {
  const other = { ServiceID: 'other' }
  t.strictSame(
    assign(nodes(2), [placed('o1', 'n1')], [pending('t1'), pending('t2'), pending('t3')]),
    { t1: 'n2', t2: 'n1', t3: 'n2' },
    'fewest tasks of the service',
  )
  t.strictSame(
    assign(nodes(2), [placed('o1', 'n1', other), placed('o2', 'n1', other)], [pending('t')]),
    { t: 'n2' },
    'then fewest tasks',
  )
  t.strictSame(
    assign(
      nodes(2),
      [
        placed('o1', 'n1', { ...other, Spec: memory(1 * GB) }),
        placed('o2', 'n1', { ...other, Spec: memory(1 * GB) }),
        placed('o3', 'n2', { ...other, Spec: memory(4 * GB) }),
      ],
      [pending('t')],
    ),
    { t: 'n1' },
    'the smaller share reserved before fewer tasks',
  )
  const failures = Array.from({ length: 5 }, (_, i) =>
    placed(`f${i}`, 'n1', {
      Status: { Timestamp: '2025-12-31T23:58:00.000Z', State: 'failed', Message: '' },
    }),
  )
  t.strictSame(
    assign(nodes(2), [...failures, placed('o1', 'n2')], [pending('t')]),
    { t: 'n2' },
    'where it failed lately comes last',
  )
  t.strictSame(
    assign(nodes(2), [...failures.slice(1), placed('o1', 'n2')], [pending('t')]),
    { t: 'n1' },
    'four failures are forgiven',
  )
})

t.test('preferences spread over labels first, then inside', async (t) => {
  const all = [
    labelled(1, { dc: 'east', rack: '1' }),
    labelled(2, { dc: 'east', rack: '1' }),
    labelled(3, { dc: 'east', rack: '2' }),
    labelled(4, { dc: 'west', rack: '1' }),
  ]
  const spec: TaskSpec = {
    Placement: {
      Preferences: [
        { Spread: { SpreadDescriptor: 'node.labels.dc' } },
        { Spread: { SpreadDescriptor: 'node.labels.rack' } },
        { Spread: { SpreadDescriptor: 'node.labels.constructor' } },
        { Spread: { SpreadDescriptor: 'engine.labels.valueOf' } },
      ],
    },
  }
  const tasks = Array.from({ length: 8 }, (_, i) => pending(`t${i}`, spec))
  const perNode = Object.groupBy(Object.values(assign(all, [], tasks)), (id) => id)
  t.strictSame(
    Object.fromEntries(Object.entries(perNode).map(([id, list]) => [id, list?.length])),
    { n1: 1, n2: 1, n3: 2, n4: 4 },
  )
})

t.test('drivers of volumes and logs that come as plugins', async (t) => {
  const withPlugins = (node: Node, Plugins: Node['Description']['Engine']['Plugins']): Node => ({
    ...node,
    Description: { ...node.Description, Engine: { ...node.Description.Engine, Plugins } },
  })
  const bare = [
    { Type: 'Log', Name: 'json-file' },
    { Type: 'Volume', Name: 'local' },
  ]
  const [a, b] = nodes(2) as [Node, Node]
  const all = [
    withPlugins(a, bare),
    withPlugins(b, [
      ...bare,
      { Type: 'Log', Name: 'loki:latest' },
      { Type: 'Volume', Name: 'sshfs' },
    ]),
  ]
  const volume = (Name?: string): TaskSpec => ({
    ContainerSpec: {
      Image: 'nginx',
      Mounts: [
        {
          Type: 'volume',
          Source: 'v',
          Target: '/v',
          VolumeOptions: { DriverConfig: { ...(Name && { Name }) } },
        },
      ],
    },
  })
  const cases: [TaskSpec, node: string | undefined][] = [
    [volume('sshfs'), 'n2'],
    [{ LogDriver: { Name: 'loki' } }, 'n2'],
    [volume('local'), 'n1'],
    [volume(), 'n1'],
    [{ LogDriver: { Name: 'none' } }, 'n1'],
    [{ LogDriver: { Name: 'json-file' } }, 'n1'],
    [volume('rexray'), undefined],
  ]
  for (const [spec, node] of cases) {
    t.equal(assign(all, [], [pending('t', spec)]).t, node, JSON.stringify(spec))
  }
  t.equal(
    explain(all, [], pending('t', volume('rexray'))),
    'no suitable node (2 nodes: missing plugin rexray)',
  )
  t.strictSame(
    assign([a], [], [pending('t', volume('rexray'))]),
    { t: 'n1' },
    'an Engine that does not say what it has may have it',
  )
})

t.test('tasks on paused nodes count where they are', async (t) => {
  const paused = labelled(1, { dc: 'east' })
  const all: Node[] = [
    { ...paused, Spec: { ...paused.Spec, Availability: 'pause' } },
    labelled(2, { dc: 'east' }),
    labelled(3, { dc: 'west' }),
  ]
  const spec: TaskSpec = {
    Placement: { Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.dc' } }] },
  }
  const existing = [placed('o1', 'n1'), placed('o2', 'n1'), placed('o3', 'n3')]
  t.strictSame(assign(all, existing, [pending('t', spec)]), { t: 'n3' })
})

t.test('of nodes with many failures the one with fewer is tried first', async (t) => {
  const failures = ['n1', 'n1', 'n1', 'n1', 'n1', 'n1', 'n2', 'n2', 'n2', 'n2', 'n2'].map(
    (NodeID, i) =>
      placed(`f${i}`, NodeID, {
        Status: { Timestamp: '2025-12-31T23:58:00.000Z', State: 'failed', Message: '' },
      }),
  )
  t.strictSame(assign(nodes(2), failures, [pending('t')]), { t: 'n2' })
})

t.test('nothing is given away twice, whatever the order', async (t) => {
  const tasks = Array.from({ length: 40 }, (_, i) => pending(`t${i}`, memory(((i % 3) + 1) * GB)))
  const { assignments, unplaced } = schedule({ nodes: nodes(5), tasks: [], nowMs }, tasks)
  t.equal(assignments.length + unplaced.length, 40)
  for (const node of nodes(5)) {
    const reserved = assignments
      .filter(({ nodeId }) => nodeId === node.ID)
      .map(({ taskId }) => tasks.find(({ ID }) => ID === taskId))
      .reduce((sum, task) => sum + (task?.Spec.Resources?.Reservations?.MemoryBytes ?? 0), 0)
    t.ok(reserved <= node.Description.Resources.MemoryBytes, `${node.ID}: ${reserved}`)
  }
})

const named = (Kind: string, ...names: string[]): GenericResource[] =>
  names.map((Value) => ({ NamedResourceSpec: { Kind, Value } }))

const discrete = (Kind: string, Value: number): GenericResource[] => [
  { DiscreteResourceSpec: { Kind, Value } },
]

const reserving = (...GenericResources: GenericResource[]): TaskSpec => ({
  Resources: { Reservations: { GenericResources } },
})

const offering = (index: number, ...GenericResources: GenericResource[]): Node => {
  const node = sampleNode(`n${index}`, index)
  const Resources = { ...node.Description.Resources, GenericResources }
  return { ...node, Description: { ...node.Description, Resources } }
}

t.test('generic resources: names are given one by one, numbers by count', async (t) => {
  const node = offering(1, ...named('GPU', 'a', 'b', 'c', 'a'), ...discrete('SSD', 3))
  const holds = (id: string, GenericResources: GenericResource[], state = 'running'): Task =>
    placed(id, 'n1', {
      GenericResources,
      Status: { Timestamp: '', State: state as never, Message: '' },
    })
  const given = (existing: Task[], ...tasks: TaskSpec[]) =>
    schedule(
      { nodes: [node], tasks: existing, nowMs },
      tasks.map((spec, index) => pending(`t${index}`, spec)),
    ).assignments.map(({ taskId, genericResources }) => [taskId, genericResources])
  const one = reserving(...discrete('GPU', 1))
  t.strictSame(
    given([], reserving(...discrete('GPU', 2), ...discrete('SSD', 2)), one, one, {}),
    [
      ['t0', [...named('GPU', 'a', 'b'), ...discrete('SSD', 2)]],
      ['t1', named('GPU', 'c')],
      ['t3', undefined],
    ],
    'each once in a run',
  )
  const all = reserving(...discrete('GPU', 2), ...discrete('SSD', 1))
  t.strictSame(
    given([holds('h', named('GPU', 'b')), holds('i', discrete('SSD', 2), 'starting')], all, one),
    [['t0', [...named('GPU', 'a', 'c'), ...discrete('SSD', 1)]]],
    'not what others have',
  )
  t.strictSame(given([holds('h', named('GPU', 'a', 'b', 'c'), 'failed')], one), [
    ['t0', named('GPU', 'a')],
  ])
  const stopping = { ...holds('h', named('GPU', 'a', 'b', 'c')), DesiredState: 'shutdown' } as const
  t.strictSame(given([stopping], one), [], 'until it has ended')
  const strange = [holds('h', [...named('GPU', 'z'), ...discrete('GPU', 9), ...named('SSD', 'x')])]
  t.strictSame(given([...strange, holds('i', discrete('SSD', 9))], one), [
    ['t0', named('GPU', 'a')],
  ])
  t.strictSame(
    given([], reserving(...named('GPU', 'b'), ...discrete('GPU', 2)), one),
    [['t0', named('GPU', 'b', 'a', 'c')]],
    'a name that is asked for',
  )
  t.strictSame(given([], reserving(...discrete('GPU', 2), ...discrete('GPU', 2))), [], 'together')
  t.strictSame(given([], reserving(...named('GPU', 'x'))), [])
  t.strictSame(given([], reserving(...discrete('FPGA', 1))), [])
  t.strictSame(given([], reserving(...discrete('FPGA', 0))), [['t0', undefined]])
})

t.test('a thousand tasks on a hundred nodes', async (t) => {
  const all = nodes(100).map((node, i) => ({
    ...node,
    Spec: { ...node.Spec, Labels: { zone: `z${i % 3}` } },
  }))
  const spec: TaskSpec = {
    ...memory(GB / 10),
    Placement: {
      Constraints: ['node.role==worker'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
    },
  }
  const tasks = Array.from({ length: 1000 }, (_, i) => pending(`t${i}`, spec))
  const before = performance.now()
  const { assignments } = schedule({ nodes: all, tasks: [], nowMs }, tasks)
  t.comment(`${Math.round(performance.now() - before)} ms`)
  t.equal(assignments.length, 1000)
  const perZone = Object.groupBy(
    assignments,
    ({ nodeId }) => `z${(Number(nodeId.slice(1)) - 1) % 3}`,
  )
  t.strictSame(
    Object.values(perZone)
      .map((list) => list?.length)
      .sort(),
    [333, 333, 334],
  )
})
