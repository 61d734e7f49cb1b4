import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { newControl, rejects, spec, tcp } from '../../support/control/control-fixture.ts'
import { sampleCluster, sampleNetwork, sampleNode, sampleTask } from '../../support/objects.ts'

t.test(
  'networks with IPv6: subnets of both families are kept, overlapping ones refused',
  async (t) => {
    const { control, store } = newControl()
    await store.update((tx) => tx.put('cluster', sampleCluster()))
    const create = (Name: string, EnableIPv6: boolean, ...subnets: string[]) =>
      control.createNetwork({
        ...{ Name, Driver: 'overlay', EnableIPv6 },
        IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) },
      })
    const { Warning } = await create('both', true, 'fd00:1::9/64', '10.9.0.7/24')
    t.equal(Warning, '')
    t.match(await control.getNetwork('both'), {
      Spec: {
        IPv6Enabled: true,
        IPAMOptions: { Configs: [{ Subnet: 'fd00:1::/64' }, { Subnet: '10.9.0.0/24' }] },
      },
    })
    await rejects(
      t,
      create('late', true, 'fd00:1::/80'),
      400,
      /overlaps fd00:1::\/64, network both/,
    )
    t.match(
      (await create('off', false, 'fd00:1::/64')).Warning,
      /fd00:1::\/64 is unused without IPv6/,
    )
    t.match(await control.getNetwork('off'), { Spec: { IPv6Enabled: false } })
  },
)

t.test('networks: node-local ones are the nodes’, and kept while in use', async (t) => {
  const { control, store } = newControl()
  await store.update((tx) => tx.put('cluster', sampleCluster()))
  const create = (body: object) =>
    control.createNetwork({ Driver: 'macvlan', Scope: 'swarm', ...body })
  const ConfigFrom = { Network: 'mv-conf' }
  const { Id, Warning } = await create({ Name: 'mv', ConfigFrom, Attachable: true })
  t.equal(Warning, '')
  t.match(await control.getNetwork('mv'), {
    Spec: {
      ...{ Scope: 'swarm', Attachable: true, ConfigFrom },
      DriverConfiguration: { Name: 'macvlan', Options: {} },
    },
    DriverState: { Name: 'macvlan', Options: {} },
    IPAMOptions: { Configs: [] },
  })
  const Options = { parent: 'eth0' }
  const IPAM = { Config: [{ Subnet: '10.9.0.0/24' }, { Subnet: 'fd00:1::/64' }] }
  const plain = await create({ Name: 'plain', Options, IPAM, EnableIPv6: true })
  t.match(plain.Warning, /are not used, as with Swarm/)
  t.match(await control.getNetwork('plain'), {
    Spec: { DriverConfiguration: { Options }, IPAMOptions: { Configs: [{}, {}] } },
    DriverState: { Options: {} },
  })
  const overlay = { Name: 'same', Driver: 'overlay', EnableIPv6: true, IPAM }
  t.equal((await control.createNetwork(overlay)).Warning, '', 'its subnets are nobody’s')
  t.equal((await create({ Name: 'again', IPAM })).Warning, plain.Warning.replace('plain', 'again'))
  const TaskTemplate = { ContainerSpec: { Image: 'web:1' }, Networks: [{ Target: 'mv' }] }
  await control.createService(spec('web', { TaskTemplate }))
  await rejects(t, control.removeNetwork('mv'), 400, new RegExp(`^network ${Id} is in use by serv`))
})

t.test('networks: resolved by name, kept while in use', async (t) => {
  const { control, store } = newControl()
  await store.update((tx) => {
    const host = sampleNetwork('host-id', 'host')
    const Labels = { 'com.docker.swarm.predefined': 'true' }
    tx.put('network', {
      ...host,
      Spec: { ...host.Spec, Labels, DriverConfiguration: { Name: 'host', Options: {} } },
    })
    const ingress = sampleNetwork('ingress-id', 'ingress')
    tx.put('network', { ...ingress, Spec: { ...ingress.Spec, Ingress: true } })
  })
  const { Id, Warning } = await control.createNetwork({
    Name: 'front',
    Driver: 'overlay',
    Attachable: true,
  })
  t.equal(Warning, '')
  t.same(
    (await control.listNetworks()).map((n) => n.Spec.Name),
    ['ingress', 'front'],
  )
  await rejects(t, control.getNetwork('host'), 404, 'network host not found')
  t.equal((await control.getNetwork('host', { predefined: true })).ID, 'host-id')
  const attach = (...targets: string[]) => ({
    TaskTemplate: {
      ContainerSpec: { Image: 'nginx' },
      Networks: targets.map((Target) => ({ Target })),
    },
  })
  await control.createService(spec('web', attach('front')))
  await control.createService(spec('old', { Networks: [{ Target: 'front' }] }))
  for (const name of ['web', 'old']) {
    const { Spec } = await control.getService(name)
    t.same(Spec.TaskTemplate.Networks, [{ Target: Id }])
    t.equal(Spec.Networks, undefined)
  }
  await rejects(t, control.createService(spec('x', attach('gone'))), 404, 'network gone not found')
  await rejects(
    t,
    control.createService(spec('x', attach('ingress'))),
    400,
    /explicitly attached to the ingress/,
  )
  await rejects(
    t,
    control.createService(spec('x', attach('host', 'front'))),
    400,
    /cannot be combined/,
  )
  await rejects(
    t,
    control.createService(spec('x', { ...attach('host'), ...tcp(80) })),
    400,
    /ingress mode/,
  )
  await rejects(t, control.createService(spec('x', attach('front', Id))), 400, /more than once/)
  await control.createService(spec('mon', attach('host')))
  await rejects(
    t,
    control.removeNetwork('front'),
    400,
    `network ${Id} is in use by service id0000000000000000000000${2}`,
  )
  await rejects(t, control.removeNetwork('host'), 400, /predefined network/)
  const published = await control.createService(spec('pub', tcp(80)))
  await rejects(t, control.removeNetwork('ingress'), 400, /depends on it/)
  for (const name of ['web', 'old', published.ID]) await control.removeService(name)
  const former = await control.createService(spec('former'))
  await store.update((tx) => {
    const NetworksAttachments = [{ Network: tx.get('network', Id)!, Addresses: [] }]
    const { Driver } = tx.get('network', Id)!.Spec.IPAMOptions
    t.same(Driver, { Name: 'default' }, 'as clients read it in a task')
    tx.put('task', sampleTask('t1', former.ID, { NetworksAttachments }))
  })
  await rejects(t, control.removeNetwork('front'), 400, `network ${Id} is in use by task t1`)
  t.same(
    await control.listNetworks({ dangling: ['true'] }).then((l) => l.map((n) => n.Spec.Name)),
    ['ingress'],
  )
  await control.removeService('former')
  t.equal(
    store.view().get('task', 't1')?.DesiredState,
    'running',
    'not ended yet, as in a stack rm',
  )
  await control.removeNetwork('front')
  await control.removeNetwork('ingress')
  await rejects(t, control.createService(spec('y', tcp(81))), 400, /no ingress network is present/)
  await control.createNetwork({ Name: 'mesh', Driver: 'overlay', Ingress: true })
  await rejects(
    t,
    control.createNetwork({ Name: 'm2', Driver: 'overlay', Ingress: true }),
    409,
    /already present/,
  )
  await rejects(
    t,
    control.createNetwork({ Name: 'mesh', Driver: 'overlay' }),
    409,
    'network with name mesh already exists',
  )
})

t.test('nodes: changed within what the quorum allows, removed when down', async (t) => {
  const { control, store } = newControl()
  const manager = (id: string, index: number, Reachability: 'reachable' | 'unreachable') =>
    sampleNode(id, index, {
      Spec: { Labels: {}, Role: 'manager', Availability: 'active' },
      ManagerStatus: { Reachability, Addr: '' },
    })
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', manager('m1', 1, 'reachable'))
    tx.put('node', sampleNode('w1', 9))
  })
  const change = async (id: string, patch: object) => {
    const node = await control.getNode(id)
    return control.updateNode(id, node.Version.Index, { ...node.Spec, ...patch })
  }
  const seen = (await control.getNode('host-9')).Version.Index
  await change('w1', { Labels: { disk: 'ssd' }, Availability: 'drain' })
  t.match(await control.getNode('w1'), { Spec: { Labels: { disk: 'ssd' }, Availability: 'drain' } })
  await rejects(
    t,
    control.updateNode('w1', seen, { Role: 'worker', Availability: 'active' }),
    500,
    /out of sequence/,
  )
  await rejects(t, change('w1', { Availability: 'busy' }), 400, /invalid Availability/)
  await rejects(
    t,
    change('m1', { Role: 'worker' }),
    400,
    'attempting to demote the last manager of the swarm',
  )
  await store.update((tx) => {
    tx.put('node', manager('m2', 2, 'unreachable'))
    tx.put('node', manager('m3', 3, 'reachable'))
  })
  await rejects(t, change('m1', { Role: 'worker' }), 400, /loss of quorum/)
  await change('m2', { Role: 'worker' })
  t.equal((await control.getNode('m2')).Spec.Role, 'worker')

  await rejects(t, control.removeNode('m1'), 400, /must be demoted to worker before removal/)
  await rejects(t, control.removeNode('m2', true), 400, /member of the raft cluster/)
  await rejects(t, control.removeNode('w1'), 400, "node w1 is not down and can't be removed")
  await control.removeNode('w1', true)
  t.same((await control.getCluster()).Swarmctl.RemovedNodes, ['w1'])
  t.same(
    (await control.listNodes({ role: ['manager'] })).map((n) => n.ID),
    ['m1', 'm2', 'm3'],
    'm2 is one until it has another certificate',
  )
  t.same(
    (await control.listNodes({ name: ['host-1', 'host-2'] })).map((n) => n.ID),
    ['m1', 'm2'],
  )
  await rejects(t, control.listNodes({ role: ['boss'] }), 400, "Invalid role filter: 'boss'")
})

t.test('the cluster: settings and tokens change, keys stay inside', async (t) => {
  const { control, store } = newControl()
  await rejects(t, control.getCluster(), 503, /not initialised/)
  await store.update((tx) => tx.put('cluster', sampleCluster()))
  const cluster = await control.getCluster()
  t.equal(cluster.Swarmctl.RootCAKey, '')
  const body = { ...cluster.Spec, Orchestration: { TaskHistoryRetentionLimit: 2 } }
  await control.updateCluster(cluster.Version.Index, body, { rotateWorkerToken: true })
  const after = await control.getCluster()
  t.equal(after.Spec.Orchestration?.TaskHistoryRetentionLimit, 2)
  t.match(after.JoinTokens, { Worker: /^SWMTKN-1-cert-/, Manager: cluster.JoinTokens.Manager })
  t.equal(store.view().cluster()?.Swarmctl.RootCAKey, 'key')
  const update = (change: object) =>
    control.updateCluster(after.Version.Index, { ...body, ...change }, {})
  await rejects(t, control.updateCluster(cluster.Version.Index, body), 500, /out of sequence/)
  await rejects(t, update({ Name: 'mine' }), 400, 'swarm spec must be named "default"')
  await rejects(t, update({ CAConfig: { NodeCertExpiry: 1 } }), 400, /minimum certificate expiry/)
  await rejects(t, update({ EncryptionConfig: { AutoLockManagers: true } }), 501, /autolock/)
})

t.test('tasks and counts: by service, node, state, and whether they follow the spec', async (t) => {
  const { control, store } = newControl()
  const { ID } = await control.createService(
    spec('web', { Labels: { stack: 'a' }, Mode: { Replicated: { Replicas: 3 } } }),
  )
  const base = { Spec: store.view().get('service', ID)!.Spec.TaskTemplate }
  const task = (id: string, state: Task['Status']['State'], change: Partial<Task>) =>
    sampleTask(id, ID, { ...base, Status: { Timestamp: '', State: state, Message: '' }, ...change })
  const ours = sampleTask('', ID).Swarmctl
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 1))
    const Swarmctl = { ...ours, ServiceName: 'web', ServiceLabels: { stack: 'a' } }
    tx.put('task', task('t1', 'running', { NodeID: 'n1', Swarmctl }))
    tx.put('task', task('t2', 'running', { DesiredState: 'shutdown', Slot: 2, Swarmctl }))
    tx.put(
      'task',
      task('t3', 'pending', {
        Slot: 3,
        Swarmctl: { ...Swarmctl, SpecVersion: 0 },
        Spec: { ContainerSpec: { Image: 'old', Secrets: [] } as never },
      }),
    )
  })
  const ids = async (filters: Record<string, string[]>) =>
    (await control.listTasks(filters)).map((x) => x.ID)
  t.same(await ids({ service: ['web'] }), ['t1', 't2', 't3'])
  t.same(await ids({ service: [ID], 'desired-state': ['running'] }), ['t1', 't3'])
  t.same(await ids({ service: [ID], '_up-to-date': ['true'] }), ['t1', 't2'])
  t.same(await ids({ node: ['host-1'] }), ['t1'])
  t.same(await ids({ label: ['stack=a'], name: ['web.2'] }), ['t2'])
  t.same(await ids({ id: ['t'], label: ['stack=b'] }), [])
  t.equal((await control.getTask('web.1.t1')).ID, 't1')
  await rejects(t, ids({ service: ['nope'] }), 404, 'service nope not found')
  await rejects(t, ids({ color: ['red'] }), 400, "invalid filter 'color'")
  await rejects(t, ids({ 'desired-state': ['idle'] }), 400, /Invalid desired-state filter/)
  const [listed] = await control.listServices({ mode: ['replicated'] }, { status: true })
  t.same(listed?.ServiceStatus, { RunningTasks: 1, DesiredTasks: 3, CompletedTasks: 0 })
  t.same(await control.listServices({ mode: ['global'] }), [])
  t.same((await control.listServices({ name: ['we'], label: ['stack'] })).length, 1)
  await control.removeService('web')
  t.same(
    await ids({ service: [ID] }),
    ['t1', 't2', 't3'],
    'a removed service’s tasks can be watched by its id',
  )
})

t.test('a job counts its iterations', async (t) => {
  const { control } = newControl()
  const job = { Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 4 } } }
  const { ID } = await control.createService(spec('job', job))
  const first = await control.getService(ID)
  t.match(first.JobStatus, {
    JobIteration: { Index: 0 },
    LastExecution: '2023-11-14T22:13:20.000Z',
  })
  await control.updateService(ID, first.Version.Index, spec('job', { ...job, Labels: { a: '' } }))
  t.equal((await control.getService(ID)).JobStatus?.JobIteration.Index, 1)
  await rejects(
    t,
    control.createService(spec('j2', { ...job, UpdateConfig: {} })),
    400,
    'Jobs may not have an update config',
  )
})

t.test('an address that no task of the network can have is refused at once', async (t) => {
  const { control } = newControl()
  const Config = [{ Subnet: '172.20.0.0/16' }]
  await control.createNetwork({ Name: 'wide', Driver: 'overlay', IPAM: { Config } })
  await control.createNetwork({ Name: 'any', Driver: 'overlay' })
  const on = (Target: string, IPv4Address: string) =>
    spec(`web-${Target}`, {
      TaskTemplate: {
        ContainerSpec: { Image: 'nginx' },
        Networks: [{ Target, Swarmctl: { IPv4Address } }],
      },
    })
  await rejects(
    t,
    control.createService(on('wide', '172.20.0.1')),
    400,
    'network wide has no address 172.20.0.1 for tasks: they have 172.20.0.2 to 172.20.254.254 there, but for those that end in .0, .1 and .255; a subnet smaller than a /16, or an IP range, has no such gaps',
  )
  await rejects(
    t,
    control.createService(on('wide', '172.21.1.5')),
    400,
    'network wide has no address 172.21.1.5 for tasks',
  )
  await control.createService(on('wide', '172.20.0.5'))
  await control.createService(on('any', '172.20.0.5'))
  t.pass('nobody knows yet what the network will have')
})
