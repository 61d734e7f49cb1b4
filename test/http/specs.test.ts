import t from 'tap'
import { startNode } from '../support/http/api-node.ts'
import { startWithFullSpec } from '../support/http/full-spec.ts'

// A spec that an API client sent comes back unchanged from inspect, also what nobody acts on, which is warned of.

t.test('a service’s spec comes back field for field', async (t) => {
  const { node, spec } = await startWithFullSpec(t)
  const sent = { ...spec, TaskTemplate: { ...spec.TaskTemplate } }
  const created = await node.call('POST', '/services/create', { body: sent })
  t.equal(created.status, 201, created.body.message)
  t.strictSame(created.body.Warnings, [
    'TaskTemplate.ContainerSpec.Privileges.CredentialSpec: kept, but without effect: it is for containers of Windows',
    'TaskTemplate.Networks.0.DriverOpts: kept, but without effect: overlay networks have no options for an attachment',
  ])
  const inspected = await node.call('GET', '/services/full')
  t.strictSame(inspected.body.Spec, spec)
  const listed = (await node.call('GET', '/services')).body
  t.strictSame(listed[0].Spec, spec)
  const defaulted = (await node.call('GET', '/services/full?insertDefaults=true')).body.Spec
  t.match(defaulted, spec, 'defaults replace nothing')

  const version = inspected.body.Version.Index
  const path = `/services/full/update?version=${version}`
  const changed = { ...spec, Labels: { only: 'this' } }
  const { Warnings } = created.body
  t.strictSame((await node.call('POST', path, { body: changed })).body, { Warnings })
  const after = (await node.call('GET', '/services/full')).body
  t.strictSame([after.Spec, after.PreviousSpec], [changed, spec])
})

t.test('options of an attachment are warned of where no driver gets them', async (t) => {
  const node = await startNode(t)
  for (const [Name, Driver] of [
    ['over', 'overlay'],
    ['lan', 'macvlan'],
  ]) {
    const body = { Name, Driver, Scope: 'swarm' }
    t.equal((await node.call('POST', '/networks/create', { body })).status, 201)
  }
  const Networks = ['over', 'lan', 'host'].map((Target) => ({ Target, DriverOpts: { a: 'b' } }))
  const withNetworks = (Name: string, indexes: number[]) => ({
    Name,
    TaskTemplate: {
      ContainerSpec: { Image: 'a' },
      Networks: indexes.map((index) => Networks[index]),
    },
  })
  const warnings = async (path: string, body: object) =>
    ((await node.call('POST', path, { body })).body.Warnings ?? []).map((text: string) =>
      text.slice(0, 33),
    )
  t.strictSame(await warnings('/services/create', withNetworks('a', [1, 0])), [
    'TaskTemplate.Networks.1.DriverOpt',
  ])
  t.strictSame(await warnings('/services/create', withNetworks('b', [1])), [])
  const { Version } = (await node.call('GET', '/services/b')).body
  t.strictSame(
    await warnings(`/services/b/update?version=${Version.Index}`, withNetworks('b', [2])),
    ['TaskTemplate.Networks.0.DriverOpt'],
  )
})

t.test('what no schema knows is kept at every level and warned of', async (t) => {
  const { node } = await startWithFullSpec(t)
  const spec = {
    Name: 'novel',
    Labels: {},
    TaskTemplate: {
      ContainerSpec: { Image: 'a', Novelty: { deep: [1, { x: null }] }, User: '' },
      Placement: { Preferences: [{ Spread: { SpreadDescriptor: 'node.id' }, Weight: 3 }] },
    },
    Mode: { Replicated: { Replicas: 1, Burst: false } },
    Later: ['a'],
  }
  const created = await node.call('POST', '/services/create', { body: spec })
  t.strictSame(
    created.body.Warnings,
    [
      'TaskTemplate.ContainerSpec.Novelty',
      'TaskTemplate.Placement.Preferences.0.Weight',
      'Mode.Replicated.Burst',
      'Later',
    ].map((path) => `${path}: this field is not known here; it is kept, without effect`),
  )
  const { Spec } = (await node.call('GET', '/services/novel')).body
  const container = { ...spec.TaskTemplate.ContainerSpec, Novelty: { deep: [1, {}] } }
  const TaskTemplate = { ...spec.TaskTemplate, ContainerSpec: container }
  t.strictSame(Spec, { ...spec, TaskTemplate }, 'null is the same as absent, as in Go')
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`F${i}`, i]))
  const body = { ...spec, ...many, Name: 'many' }
  const { Warnings } = (await node.call('POST', '/services/create', { body })).body
  t.equal(Warnings.length, 21, 'bounded')
  t.equal(Warnings.at(-1), 'and 84 more fields that have no effect')
})

t.test('specs of nodes, the swarm, secrets and configs come back too', async (t) => {
  const { node } = await startWithFullSpec(t)
  const [first] = (await node.call('GET', '/nodes')).body
  const nodeSpec = { ...first.Spec, Name: 'n', Labels: { a: '' }, Availability: 'pause', New: 1 }
  const update = `update?version=${first.Version.Index}`
  t.equal((await node.call('POST', `/nodes/${first.ID}/${update}`, { body: nodeSpec })).status, 200)
  t.strictSame((await node.call('GET', `/nodes/${first.ID}`)).body.Spec, nodeSpec)

  const swarm = (await node.call('GET', '/swarm')).body
  const spec = {
    Name: 'default',
    Labels: { l: '1' },
    Orchestration: { TaskHistoryRetentionLimit: 3 },
    Raft: {
      SnapshotInterval: 5000,
      KeepOldSnapshots: 1,
      LogEntriesForSlowFollowers: 100,
      ElectionTick: 10,
      HeartbeatTick: 1,
    },
    Dispatcher: { HeartbeatPeriod: 7_000_000_000 },
    CAConfig: { NodeCertExpiry: 7_776_000_000_000_000, ForceRotate: 0 },
    TaskDefaults: { LogDriver: { Name: 'json-file', Options: { a: 'b' } } },
    EncryptionConfig: { AutoLockManagers: false },
    Novelty: { x: 1 },
  }
  const path = `/swarm/update?version=${swarm.Version.Index}`
  const answer = await node.call('POST', path, { body: spec })
  t.equal(answer.status, 200, answer.body.message)
  t.strictSame((await node.call('GET', '/swarm')).body.Spec, spec)

  const { Version } = (await node.call('GET', '/swarm')).body
  // As Go clients send what they do not mean.
  const partial = {
    Name: '',
    Labels: null,
    Orchestration: {},
    Raft: { SnapshotInterval: 0, KeepOldSnapshots: 0, ElectionTick: 0 },
    Dispatcher: { HeartbeatPeriod: 9_000_000_000 },
    CAConfig: {},
    TaskDefaults: {},
    EncryptionConfig: {},
  }
  await node.call('POST', `/swarm/update?version=${Version.Index}`, { body: partial })
  const { Novelty: _n, ...known } = spec
  t.strictSame(
    (await node.call('GET', '/swarm')).body.Spec,
    {
      ...known,
      Raft: { ...spec.Raft, KeepOldSnapshots: 0 },
      Dispatcher: { HeartbeatPeriod: 9_000_000_000 },
      CAConfig: { NodeCertExpiry: spec.CAConfig.NodeCertExpiry },
    },
    'a zero means as before, except where it is a value',
  )

  for (const kind of ['secrets', 'configs']) {
    const Templating = { Name: 'golang', Options: { o: '1' } }
    const body = { Name: 'whole', Labels: { a: '1' }, Data: 'eA==', Templating, Novelty: true }
    t.equal((await node.call('POST', `/${kind}/create`, { body })).status, 201)
    const { Data: _, ...hidden } = body
    const shown = (await node.call('GET', `/${kind}/whole`)).body.Spec
    t.strictSame(shown, kind === 'secrets' ? hidden : body)
  }
})

t.test(
  'an update by Docker’s API, which has no Swarmctl, keeps what stands under it',
  async (t) => {
    const { node } = await startWithFullSpec(t)
    const mount = { Type: 'tmpfs', Target: '/scratch' }
    const port = { TargetPort: 80, PublishedPort: 8080, PublishMode: 'host', Protocol: 'tcp' }
    const container = { Image: 'a', Mounts: [mount] }
    const plain = {
      Name: 'web',
      Labels: {},
      TaskTemplate: { ContainerSpec: container, Networks: [{ Target: 'back' }] },
      Mode: { Replicated: { Replicas: 1 } },
      EndpointSpec: { Ports: [port] },
    }
    const extended = {
      ...plain,
      TaskTemplate: {
        ContainerSpec: {
          ...container,
          Mounts: [{ ...mount, Swarmctl: { TmpfsMode: 0o700 } }],
          Swarmctl: { ShmSize: 1 << 20 },
        },
        Networks: [{ Target: 'back', Swarmctl: { Aliases: ['www'] } }],
      },
      EndpointSpec: { Ports: [{ ...port, Swarmctl: { HostIP: '127.0.0.1' } }] },
      Swarmctl: { DrainLimit: 5e9 },
    }
    const inspect = async () => (await node.call('GET', '/services/web')).body
    const update = async (prefix: string, body: object) => {
      const { Version } = await inspect()
      const path = `${prefix}/services/web/update?version=${Version.Index}`
      return node.call('POST', path, { body })
    }
    await node.call('POST', '/services/create', { body: extended })
    const { Spec: first } = await inspect()
    t.match(first, {
      ...extended,
      TaskTemplate: { ContainerSpec: extended.TaskTemplate.ContainerSpec },
    })

    // The docker CLI sends what it read, less what it does not know.
    const Networks = [{ Target: first.TaskTemplate.Networks[0].Target }]
    const read = { ...plain, TaskTemplate: { ContainerSpec: container, Networks } }
    const relabelled = await update('/v1.41', { ...read, Labels: { a: 'b' } })
    t.equal(relabelled.status, 200, relabelled.body.message)
    t.strictSame((await inspect()).Spec, { ...first, Labels: { a: 'b' } })

    // Other clients name networks as their users do, and old ones beside the task.
    const { TaskTemplate, ...rest } = plain
    for (const body of [
      plain,
      { ...rest, TaskTemplate: { ContainerSpec: container }, Networks: TaskTemplate.Networks },
    ]) {
      const renewed = await update('/v1.41', { ...body, Labels: { a: 'b' } })
      t.equal(renewed.status, 200, renewed.body.message)
      t.strictSame((await inspect()).Spec, { ...first, Labels: { a: 'b' } })
    }

    const other = { ...read, EndpointSpec: { Ports: [{ ...port, TargetPort: 81 }] }, Swarmctl: {} }
    await update('/v1.41', other)
    const { Spec: ended } = await inspect()
    t.strictSame(ended.Swarmctl, {}, 'what is said to be empty is')
    t.notOk('Swarmctl' in ended.EndpointSpec.Ports[0], 'another port has nothing of the one before')
    t.strictSame(ended.TaskTemplate.ContainerSpec.Swarmctl, { ShmSize: 1 << 20 })

    await update('', read)
    const { Spec: whole } = await inspect()
    t.notMatch(
      JSON.stringify(whole),
      'Swarmctl',
      'who speaks no version of it means what they leave out',
    )
  },
)

t.test('ports that differ in their address alone keep theirs', async (t) => {
  const { node } = await startWithFullSpec(t)
  const port = { TargetPort: 80, PublishedPort: 8080, PublishMode: 'host', Protocol: 'tcp' }
  const at = (HostIP: string) => ({ ...port, Swarmctl: { HostIP } })
  const body = (...Ports: object[]) => ({
    Name: 'two',
    TaskTemplate: { ContainerSpec: { Image: 'a' } },
    EndpointSpec: { Ports },
  })
  const addresses = [at('127.0.0.1'), at('127.0.0.2')]
  await node.call('POST', '/services/create', { body: body(...addresses) })
  const { Version } = (await node.call('GET', '/services/two')).body
  const path = `/v1.41/services/two/update?version=${Version.Index}`
  const updated = await node.call('POST', path, { body: body(port, port) })
  t.equal(updated.status, 200, updated.body.message)
  const { Spec } = (await node.call('GET', '/services/two')).body
  t.match(Spec.EndpointSpec.Ports, addresses)
})

t.test('what is kept has to fit what is asked for', async (t) => {
  const { node } = await startWithFullSpec(t)
  const spec = (replicas: number, network: object) => ({
    Name: 'one',
    TaskTemplate: { ContainerSpec: { Image: 'a' }, Networks: [network] },
    Mode: { Replicated: { Replicas: replicas } },
  })
  const fixed = { Target: 'back', Swarmctl: { IPv4Address: '10.0.1.77' } }
  await node.call('POST', '/services/create', { body: spec(1, fixed) })
  const { Spec, Version } = (await node.call('GET', '/services/one')).body
  const network = { Target: Spec.TaskTemplate.Networks[0].Target }
  const path = `/v1.41/services/one/update?version=${Version.Index}`
  const refused = await node.call('POST', path, { body: spec(3, network) })
  t.equal(refused.status, 400)
  t.match(refused.body.message, /address/i)
})

t.test('numbers come back as they were written, or are refused', async (t) => {
  const { node } = await startWithFullSpec(t)
  const YEAR_NS = 31_536_000_000_000_000
  const spec = (name: string, change: object) => ({
    ...{ Name: name, Labels: {}, TaskTemplate: { ContainerSpec: { Image: 'a' } } },
    ...{ Mode: { Replicated: { Replicas: 1 } }, ...change },
  })
  const yearly = spec('yearly', {
    UpdateConfig: { Delay: YEAR_NS, Monitor: -0 },
    Later: { big: YEAR_NS, digits: '9007199254740993', small: 0.1234567890123456 },
  })
  t.equal((await node.call('POST', '/services/create', { body: yearly })).status, 201)
  t.strictSame((await node.call('GET', '/services/yearly')).body.Spec, yearly)

  const swarm = (await node.call('GET', '/swarm')).body
  const body = { ...swarm.Spec, CAConfig: { NodeCertExpiry: YEAR_NS } }
  const updated = await node.call('POST', `/swarm/update?version=${swarm.Version.Index}`, { body })
  t.equal(updated.status, 200, updated.body.message)
  t.equal((await node.call('GET', '/swarm')).body.Spec.CAConfig.NodeCertExpiry, YEAR_NS)

  for (const digits of ['9007199254740993', '-9223372036854775807', '9223372036854775807']) {
    const text = JSON.stringify(spec('big', { Later: [0] })).replace('[0]', `[${digits}]`)
    t.match(await node.call('POST', '/services/create', { body: text }), {
      status: 400,
      body: {
        message: `the number ${digits} can't be kept exactly: give a smaller or a rounder one`,
      },
    })
  }
  const delay = (Delay: number) => spec('big', { UpdateConfig: { Delay } })
  for (const [what, text] of [
    [delay(2 ** 63), /^invalid UpdateConfig.Delay: Too big/],
    [delay(0.5), /^invalid UpdateConfig.Delay: Invalid input: expected int/],
    [
      spec('big', { Mode: { Replicated: { Replicas: 2 ** 53 } } }),
      /^invalid Mode.Replicated.Replicas: Too big/,
    ],
    [
      spec('big', { Mode: { Replicated: { Replicas: -1 } } }),
      /^Number of replicas must be non-negative$/,
    ],
  ] as const) {
    const refused = await node.call('POST', '/services/create', { body: what })
    t.match([refused.status, refused.body.message], [400, text])
  }
})

t.test('what is empty comes back empty, also where no schema knows it', async (t) => {
  const { node } = await startWithFullSpec(t)
  const spec = {
    Name: 'empty',
    Labels: {},
    TaskTemplate: {
      ContainerSpec: {
        ...{ Image: 'a', Labels: {}, Command: [], Args: [], Hostname: '', Env: [], Dir: '' },
        ...{ User: '', Groups: [], Privileges: {}, StopSignal: '', TTY: false, OpenStdin: false },
        ...{ ReadOnly: false, Mounts: [], StopGracePeriod: 0, Healthcheck: {}, Hosts: [] },
        ...{ DNSConfig: {}, Secrets: [], Configs: [], Isolation: '', Init: false, Sysctls: {} },
        ...{ CapabilityAdd: [], CapabilityDrop: [], Ulimits: [], OomScoreAdj: 0 },
        ...{ Novelty: '', Other: { text: '', list: [], map: {}, no: false, zero: 0 } },
      },
      Resources: { Limits: {}, Reservations: { GenericResources: [], MemoryBytes: 0 } },
      RestartPolicy: { Delay: 0, MaxAttempts: 0, Window: 0 },
      Placement: { Constraints: [], Preferences: [], MaxReplicas: 0, Platforms: [] },
      Networks: [],
      LogDriver: { Name: '', Options: {} },
      ForceUpdate: 0,
      Runtime: '',
    },
    Mode: { Replicated: { Replicas: 0 } },
    UpdateConfig: { Parallelism: 0, Delay: 0, Monitor: 0, MaxFailureRatio: 0 },
    RollbackConfig: {},
    EndpointSpec: { Mode: 'vip', Ports: [] },
  }
  const created = await node.call('POST', '/services/create', { body: spec })
  const Other = 'TaskTemplate.ContainerSpec.Other'
  t.strictSame(
    created.body.Warnings,
    [`${Other}: this field is not known here; it is kept, without effect`],
    'an empty text asks for nothing',
  )
  t.strictSame((await node.call('GET', '/services/empty')).body.Spec, spec)
})

t.test('a mode that no schema knows is none', async (t) => {
  const { node } = await startWithFullSpec(t)
  const TaskTemplate = { ContainerSpec: { Image: 'a' } }
  const create = (Name: string, Mode: object) =>
    node.call('POST', '/services/create', { body: { Name, TaskTemplate, Mode } })
  t.match(await create('cron', { Cron: { At: '5' } }), {
    status: 201,
    body: { Warnings: [/^Mode.Cron: /] },
  })
  t.strictSame((await node.call('GET', '/services/cron')).body.Spec.Mode, {
    Cron: { At: '5' },
    Replicated: { Replicas: 1 },
  })
  t.equal((await create('global', { Global: {}, Burst: {} })).status, 201)
  t.match(await create('two', { Global: {}, Replicated: {} }), {
    status: 400,
    body: { message: 'must specify only one service mode' },
  })
})

t.test('labels of the swarm go when none are sent, not when nothing is said of them', async (t) => {
  const { node } = await startWithFullSpec(t)
  const update = async (body: object) => {
    const { Version } = (await node.call('GET', '/swarm')).body
    await node.call('POST', `/swarm/update?version=${Version.Index}`, { body })
    return (await node.call('GET', '/swarm')).body.Spec.Labels
  }
  const Name = 'default'
  t.strictSame(await update({ Name, Labels: { a: '1', b: '2' } }), { a: '1', b: '2' })
  t.strictSame(await update({ Name, labels: { b: '3' } }), { b: '3' })
  for (const silent of [{ Name }, { Name, Labels: null }]) {
    t.strictSame(await update(silent), { b: '3' })
  }
  t.strictSame(await update({ Name, Labels: {} }), {})
})

t.test('an update of a secret or config takes labels, and nothing that is none', async (t) => {
  const { node } = await startWithFullSpec(t)
  for (const [path, Name] of [
    ['/secrets/key', 'key'],
    ['/configs/page', 'page'],
  ]) {
    const update = async (body: object) => {
      const { Version } = (await node.call('GET', path!)).body
      return node.call('POST', `${path}/update?version=${Version.Index}`, { body })
    }
    for (const Labels of ['abc', ['a'], { a: 1 }]) {
      t.match(await update({ Name, Labels }), { status: 400, body: { message: /^invalid Labels/ } })
    }
    t.equal((await update({ Name, Data: 'eA==', Labels: { a: '1' } })).status, 200)
    t.strictSame((await node.call('GET', path!)).body.Spec.Labels, { a: '1' })
    t.match(await update({ Name, Data: 'eQ==' }), {
      status: 400,
      body: { message: 'only updates to Labels are allowed' },
    })
    t.equal((await update({ Name, Labels: null })).status, 200)
    t.strictSame((await node.call('GET', path!)).body.Spec.Labels, {})
  }
})
