import t from 'tap'
import { serviceBody, startNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleNode, sampleTask } from '../support/objects.ts'

t.test('ping, version and info are the Engine’s with the swarm’s part', async (t) => {
  const node = await startNode(t)
  for (const method of ['HEAD', 'GET']) {
    const { status, headers, body } = await node.call(method, '/_ping')
    t.equal(status, 200)
    t.match(headers, {
      'api-version': '1.51',
      ostype: 'linux',
      swarm: 'active/manager',
      'builder-version': '2',
      'docker-experimental': 'true',
    })
    t.equal(body, method === 'GET' ? 'OK' : '')
  }
  t.equal(node.engine.requests('GET', '/_ping').length, 1, 'the Engine is asked once in a while')
  t.match((await node.call('GET', '/version')).body, { Version: '28.0.0', ApiVersion: '1.51' })
  const info = (await node.call('GET', '/v1.41/info')).body
  t.match(info, {
    ID: 'engine',
    Swarm: {
      NodeID: NODE_ID,
      NodeAddr: '192.168.0.1',
      LocalNodeState: 'active',
      ControlAvailable: true,
      Nodes: 2,
      Managers: 1,
      RemoteManagers: [{ NodeID: NODE_ID, Addr: '192.168.0.1:2377' }],
      Cluster: { ID: 'cluster1', Spec: { Name: 'default' }, SubnetSize: 16, DataPathPort: 4789 },
    },
  })
  t.notMatch(JSON.stringify(info), /SWMTKN|RootCAKey|JoinTokens/)
  for (const [state, role, header, control] of [
    ['active', 'worker', 'active/worker', false],
    ['inactive', 'worker', 'inactive', false],
    ['locked', 'manager', 'locked', false],
    ['pending', 'worker', 'pending', false],
    ['error', 'worker', 'error', false],
  ] as const) {
    Object.assign(node.swarm.state, { localNodeState: state, role })
    t.equal((await node.call('GET', '/_ping')).headers.swarm, header)
    const { Swarm } = (await node.call('GET', '/info')).body
    t.match(Swarm, { LocalNodeState: state, ControlAvailable: control })
    t.notOk(Swarm.Cluster)
  }
})

t.test('two managers are warned of, where docker info shows it', async (t) => {
  const node = await startNode(t)
  const text = /^WARNING: Running Swarm in a two-manager configuration/
  t.notOk((await node.call('GET', '/info')).body.Swarm.Warnings)
  const ManagerStatus = { Reachability: 'reachable' as const, Addr: '' }
  const Spec = { Labels: {}, Availability: 'active' as const, Role: 'manager' as const }
  await node.swarm.store.update((tx) => {
    tx.put('node', sampleNode('m2', 3, { Spec, ManagerStatus }))
    // It has yet to become one.
    tx.put('node', sampleNode('m3', 4, { Spec }))
  })
  const { body } = await node.call('GET', '/info')
  t.match(body.Swarm, { Managers: 2, Nodes: 4, Warnings: [text] })
  t.match(body.Warnings.at(-1), text)
})

t.test('services: every verb', async (t) => {
  const node = await startNode(t)
  const auth = Buffer.from('{"password":"hush"}').toString('base64url')
  const created = await node.call('POST', '/v1.41/services/create', {
    // As a Go client writes it: null for every empty slice, map and pointer.
    body: {
      ...serviceBody('web', {
        Labels: null,
        UpdateConfig: null,
        Networks: null,
        EndpointSpec: null,
      }),
      Mode: { Replicated: { Replicas: 2 }, Global: null },
    },
    headers: { 'X-Registry-Auth': auth },
  })
  t.equal(created.status, 201)
  t.match(created.body, { ID: /^id/, Warnings: [] })
  const { ID } = created.body
  const stored = node.swarm.store.view().get('service', ID)
  t.equal(stored?.Spec.TaskTemplate.PullOptions?.RegistryAuth, auth, 'kept for the nodes')
  const got = await node.call('GET', '/v1.41/services/web')
  t.equal(got.status, 200)
  t.match(got.body, { ID, Spec: { Name: 'web', Mode: { Replicated: { Replicas: 2 } } } })
  t.notMatch(JSON.stringify(got.body), /PullOptions|RegistryAuth/, 'but never given out')
  t.equal((await node.call('GET', `/services/${ID.slice(0, 25)}`)).body.ID, ID)
  const full = await node.call('GET', '/services/web?insertDefaults=true')
  t.match(full.body.Spec, { UpdateConfig: { Parallelism: 1, Order: 'stop-first' } })
  const listed = await node.call(
    'GET',
    `/services?status=true&filters=${encodeURIComponent('{"name":{"we":true}}')}`,
  )
  t.match(listed.body, [{ ID, ServiceStatus: { RunningTasks: 0, DesiredTasks: 2 } }])
  const none = await node.call('GET', '/services?filters={"name":["x"]}')
  t.same(none.body, [])
  const version = got.body.Version.Index
  const change = serviceBody('web', { Labels: { v: '2' } })
  const path = `/services/web/update?version=${version}&registryAuthFrom=spec&rollback=none`
  const updated = await node.call('POST', path, { body: change })
  t.same([updated.status, updated.body], [200, { Warnings: [] }])
  const again = await node.call('POST', path, { body: change })
  t.equal(again.status, 500)
  t.match(again.body.message, /update out of sequence/, 'clients look for this text')
  const now = (await node.call('GET', '/services/web')).body.Version.Index
  const back = await node.call('POST', `/services/web/update?version=${now}&rollback=previous`, {
    body: {},
  })
  t.equal(back.status, 200)
  t.same((await node.call('GET', '/services/web')).body.Spec.Labels, {})
  const removed = await node.call('DELETE', '/services/web')
  t.same([removed.status, removed.body], [200, ''])
})

t.test('errors have Docker’s statuses and texts', async (t) => {
  const node = await startNode(t)
  await node.call('POST', '/services/create', { body: serviceBody('web') })
  const at = (await node.call('GET', '/services/web')).body.Version.Index
  const nodeAt = (await node.call('GET', `/nodes/${NODE_ID}`)).body
  const cases: [method: string, path: string, body: unknown, status: number, text: RegExp][] = [
    ['GET', '/services/nope', undefined, 404, /^service nope not found$/],
    ['DELETE', '/services/nope', undefined, 404, /^service nope not found$/],
    ['GET', '/tasks/nope', undefined, 404, /^task nope not found$/],
    ['GET', '/nodes/nope', undefined, 404, /^node nope not found$/],
    ['GET', '/secrets/nope', undefined, 404, /^secret nope not found$/],
    ['GET', '/configs/nope', undefined, 404, /^config nope not found$/],
    ['GET', '/networks/nope?scope=swarm', undefined, 404, /^network nope not found$/],
    ['POST', '/services/create', serviceBody('web'), 409, /already exists/],
    ['POST', '/services/create', serviceBody('a b'), 400, /valid as a DNS name/],
    ['POST', '/services/create', '{"Name":', 400, /^invalid JSON: /],
    ['POST', '/services/create', 'null', 400, /mismatched Runtime/],
    ['POST', '/services/create', '[]', 400, /^invalid body: .*array/],
    ['POST', '/secrets/create', '{"Name":"a"}{}', 400, /^invalid JSON: .*after JSON/],
    ['POST', '/services/create', { Name: 3 }, 400, /^invalid Name/],
    ['POST', '/services/web/update', serviceBody('web'), 400, /^invalid service version/],
    ['POST', '/services/web/update?version=x', serviceBody('web'), 400, /^invalid service version/],
    [
      'POST',
      `/services/web/update?version=${2n ** 64n}`,
      serviceBody('web'),
      400,
      /^invalid service version '18446744073709551616': strconv\.ParseUint: .*out of range$/,
    ],
    [
      'POST',
      `/services/web/update?version=${2n ** 64n - 1n}`,
      serviceBody('web'),
      500,
      /update out of sequence/,
    ],
    [
      'POST',
      `/services/web/update?version=${at}&rollback=x`,
      {},
      400,
      /unrecognized rollback option x/,
    ],
    ['POST', `/services/web/update?version=${at}`, serviceBody('other'), 501, /renaming services/],
    [
      'POST',
      `/services/web/update?version=${at}`,
      serviceBody('web', { Mode: { Global: {} } }),
      501,
      /service mode change is not allowed/,
    ],
    ['GET', '/services?filters={"colour":{"red":true}}', undefined, 400, /invalid filter 'colour'/],
    ['GET', '/services?filters={"name":"x"}', undefined, 400, /invalid filter/],
    ['GET', '/services?filters=x', undefined, 400, /invalid filter/],
    ['GET', '/services/web/logs', undefined, 400, /you must choose at least one stream/],
    [
      'GET',
      '/services/web/logs?stdout=1&tail=x',
      undefined,
      400,
      /^tail value must be a positive integer or "all"/,
    ],
    [
      'GET',
      '/services/web/logs?stdout=1&since=10m',
      undefined,
      400,
      /^invalid value for "since": invalid timestamp "10m"$/,
    ],
    ['DELETE', `/nodes/${NODE_ID}`, undefined, 400, /is a cluster manager/],
    ['DELETE', `/nodes/node2`, undefined, 400, /is not down and can't be removed/],
    [
      'POST',
      `/nodes/${NODE_ID}/update?version=${nodeAt.Version.Index}`,
      { ...nodeAt.Spec, Role: 'worker' },
      400,
      /last manager/,
    ],
    ['POST', '/secrets/create', { Name: 'a b', Data: 'eA==' }, 400, /invalid name/],
    [
      'POST',
      '/networks/create',
      { Name: 'n', Driver: 'overlay', ConfigFrom: { Network: 'c' } },
      501,
      /configuration-only/,
    ],
    ['POST', '/networks/create', { Name: 'host', Scope: 'swarm', Driver: 'overlay' }, 403, /host/],
    ['DELETE', '/networks/host', undefined, 404, /no such thing on the engine/],
    ['POST', '/swarm/init', {}, 503, /already part of a swarm/],
    ['POST', '/swarm/join', {}, 503, /already part of a swarm/],
    ['POST', '/swarm/unlock', {}, 409, /swarm is not locked/],
    ['POST', '/swarm/update', { Name: 'x' }, 400, /invalid swarm version/],
    ['POST', '/services/create', 'x'.repeat(5 << 20), 400, /request body is larger/],
  ]
  for (const [method, path, body, status, text] of cases) {
    const answer = await node.call(method, path, { body })
    t.equal(answer.status, status, `${method} ${path}`)
    t.match(answer.body.message, text, `${method} ${path}`)
    t.notMatch(answer.body.message, /\n|\bat .*\.ts/, 'one line')
  }
})

t.test('a body that says it is no JSON is none', async (t) => {
  const node = await startNode(t)
  const create = (type: string, path: string, Name: string) =>
    node.call('POST', path, {
      body: { Name, Data: 'eA==', Driver: path.startsWith('/networks') ? 'overlay' : undefined },
      headers: { 'Content-Type': type },
    })
  for (const [at, path] of ['/secrets/create', '/networks/create'].entries()) {
    t.match(await create('text/plain', path, 'a'), {
      status: 400,
      body: {
        message: "unsupported Content-Type header (text/plain): must be 'application/json'",
      },
    })
    t.equal((await create('Application/JSON; charset=utf-8', path, `a${at}`)).status, 201)
  }
  // As curl -d '' sends it.
  const empty = { body: '', headers: { 'Content-Type': 'text/plain', 'Content-Length': '0' } }
  t.match(await node.call('POST', '/secrets/create', empty), {
    status: 400,
    body: { message: 'name must be provided' },
  })
})

t.test('secrets and configs: every verb; a secret’s data stays inside', async (t) => {
  const node = await startNode(t)
  for (const [kind, noun] of [
    ['secrets', 'secret'],
    ['configs', 'config'],
  ] as const) {
    const body = { Name: 'a', Labels: null, Data: 'c2VjcmV0', Templating: null }
    const created = await node.call('POST', `/v1.47/${kind}/create`, { body })
    t.equal(created.status, 201)
    const got = (await node.call('GET', `/${kind}/a`)).body
    t.equal(got.ID, created.body.ID)
    t.equal(got.Spec.Data, kind === 'secrets' ? undefined : 'c2VjcmV0')
    const listed = (await node.call('GET', `/${kind}?filters={"name":{"a":true}}`)).body
    t.equal(listed.length, 1)
    t.equal('Data' in listed[0].Spec, kind === 'configs')
    const update = await node.call('POST', `/${kind}/a/update?version=${got.Version.Index}`, {
      body: { Name: 'a', Labels: { x: 'y' } },
    })
    t.equal(update.status, 200)
    const conflict = await node.call('POST', `/${kind}/create`, { body })
    t.equal(conflict.status, 409)
    const file = { Name: 'a', UID: '0', GID: '0', Mode: 292 }
    const reference =
      kind === 'secrets'
        ? { Secrets: [{ SecretID: got.ID, SecretName: 'a', File: file }] }
        : { Configs: [{ ConfigID: got.ID, ConfigName: 'a', File: file }] }
    const service = serviceBody(`uses-${noun}`)
    await node.call('POST', '/services/create', {
      body: { ...service, TaskTemplate: { ContainerSpec: { Image: 'nginx', ...reference } } },
    })
    const used = await node.call('DELETE', `/${kind}/a`)
    t.equal(used.status, 400)
    t.match(used.body.message, `${noun} 'a' is in use by the following service: uses-${noun}`)
    await node.call('DELETE', `/services/uses-${noun}`)
    t.equal((await node.call('DELETE', `/${kind}/a`)).status, 204)
  }
})

t.test('nodes, tasks and the swarm: every verb', async (t) => {
  const node = await startNode(t)
  const nodes = (await node.call('GET', '/nodes')).body
  t.equal(nodes.length, 2)
  const { ID, Version, Spec } = nodes.find(
    (one: { Spec: { Role: string } }) => one.Spec.Role === 'worker',
  )
  const update = await node.call('POST', `/nodes/${ID}/update?version=${Version.Index}`, {
    body: { ...Spec, Availability: 'drain' },
  })
  t.equal(update.status, 200)
  t.equal((await node.call('GET', '/nodes/host-2')).body.Spec.Availability, 'drain')
  t.equal((await node.call('DELETE', `/nodes/${ID}?force=1`)).status, 200)
  const web = (await node.call('POST', '/services/create', { body: serviceBody('web') })).body.ID
  await node.swarm.store.update((tx) => {
    const task = sampleTask('task1', web)
    tx.put('task', { ...task, Spec: { ...task.Spec, PullOptions: { RegistryAuth: 'hush' } } })
  })
  const filters = encodeURIComponent(`{"service":{"${web}":true},"_up-to-date":{"true":true}}`)
  t.match((await node.call('GET', `/tasks?filters=${filters}`)).body, { length: Number })
  const task = (await node.call('GET', '/tasks/task1')).body
  t.equal(task.ServiceID, web)
  t.strictSame(task.Status.PortStatus, {}, 'clients read on')
  t.notMatch(JSON.stringify(task), /hush/)
  const swarm = (await node.call('GET', '/swarm')).body
  t.match(swarm, { JoinTokens: { Worker: 'SWMTKN-1-a-b' } })
  t.notMatch(JSON.stringify(swarm), /Swarmctl|RootCA/)
  const rotated = await node.call(
    'POST',
    `/swarm/update?version=${swarm.Version.Index}&rotateWorkerToken=true`,
    { body: { ...swarm.Spec, EncryptionConfig: { AutoLockManagers: true } } },
  )
  t.equal(rotated.status, 200)
  const after = (await node.call('GET', '/swarm')).body
  t.match(after.JoinTokens, { Worker: /^SWMTKN-1-new/, Manager: 'SWMTKN-1-a-c' })
  t.match((await node.call('GET', '/swarm/unlockkey')).body, { UnlockKey: /^SWMKEY-1-/ })
  t.equal((await node.call('POST', '/swarm/leave?force=1')).status, 200)
  t.same(node.swarm.calls, [['leave', true]])
  const twice = await node.call('POST', '/swarm/leave')
  t.same([twice.status, twice.body.message], [503, 'This node is not part of a swarm'])
})

t.test('init, join and unlock', async (t) => {
  const node = await startNode(t, { seed: false })
  const init = await node.call('POST', '/v1.41/swarm/init', {
    body: { ListenAddr: '0.0.0.0:2377', DefaultAddrPool: null, Spec: { Labels: null } },
  })
  t.same([init.status, init.body], [200, NODE_ID])
  t.match(node.swarm.calls[0], ['init', { DefaultAddrPool: [], Spec: { Name: 'default' } }])
  const other = await startNode(t, { seed: false })
  const nowhere = await other.call('POST', '/swarm/join', { body: { RemoteAddrs: [] } })
  t.match([nowhere.status, nowhere.body.message], [400, /^at least 1 RemoteAddr is required/])
  const body = { RemoteAddrs: ['192.168.0.1:2377'], JoinToken: 'SWMTKN-1-a-b' }
  t.equal((await other.call('POST', '/swarm/join', { body })).status, 200)
  t.match(other.swarm.calls, [['join', body]])
  other.swarm.state.localNodeState = 'locked'
  const locked = await other.call('GET', '/services')
  t.match([locked.status, locked.body.message], [503, /needs to be unlocked/])
  const wrong = await other.call('POST', '/swarm/unlock', { body: { UnlockKey: 'x' } })
  t.match([wrong.status, wrong.body.message], [401, /invalid key provided/])
  const right = { UnlockKey: 'SWMKEY-1-right' }
  t.equal((await other.call('POST', '/swarm/unlock', { body: right })).status, 200)
})

t.test('workers and nodes without a swarm answer 503, but serve what is local', async (t) => {
  const node = await startNode(t)
  const paths = ['/services', '/tasks', '/nodes', '/secrets', '/configs', '/swarm', '/services/x']
  const check = async (
    text: RegExp,
    creating: [status: number, text: RegExp],
    overlays: number,
  ) => {
    for (const path of paths) {
      const { status, body } = await node.call('GET', path)
      t.equal(status, 503, path)
      t.match(body.message, text)
    }
    const unlock = await node.call('POST', '/swarm/unlock', { body: { UnlockKey: 'x' } })
    t.match([unlock.status, unlock.body.message], [503, text])
    const stale = await node.call('GET', '/services?stale=1')
    t.equal(stale.status, 503)
    const create = await node.call('POST', '/networks/create', {
      body: { Name: 'n', Driver: 'overlay' },
    })
    t.match([create.status, create.body.message], creating)
    t.equal((await node.call('GET', '/networks')).body.length, 1 + overlays)
    t.equal((await node.call('GET', '/networks?filters={"scope":["swarm"]}')).body.length, overlays)
    t.equal((await node.call('GET', '/networks/bridge')).status, 200)
    t.equal((await node.call('GET', '/containers/json')).status, 200)
  }
  node.swarm.state.role = 'worker'
  const worker = /^This node is not a swarm manager. Worker nodes can't be used to view or modify/
  await check(worker, [403, /^Cannot create a multi-host network from a worker node/], 1)
  node.swarm.state.localNodeState = 'inactive'
  const outside = /^This node is not a swarm manager. Use "swarmctl init" or "swarmctl join"/
  await check(outside, [503, outside], 0)
})

t.test('a follower forwards to the leader; without one it answers 503', async (t) => {
  const leader = await startNode(t)
  const follower = await startNode(t)
  follower.swarm.leader = { kind: 'forward', nodeId: 'leader1' }
  follower.swarm.leaderSocket = leader.socketPath
  const created = await follower.call('POST', '/v1.41/services/create', {
    body: serviceBody('web'),
  })
  t.equal(created.status, 201)
  t.ok(leader.swarm.store.view().get('service', created.body.ID), 'it is the leader’s')
  t.same(follower.swarm.calls, [['forward', 'leader1', '/v1.41/services/create']])
  t.equal((await follower.call('GET', '/services/web')).body.ID, created.body.ID)
  const network = { Name: 'back', Driver: 'overlay' }
  t.equal((await follower.call('POST', '/networks/create', { body: network })).status, 201)
  t.equal(leader.swarm.store.view().byName('network', 'back')?.Spec.Name, 'back')
  t.same((await follower.call('GET', '/services?stale=1')).body, [], 'its own state is enough')
  follower.swarm.leader = { kind: 'none', message: 'The swarm does not have a leader.' }
  const none = await follower.call('GET', '/services')
  t.same([none.status, none.body.message], [503, 'The swarm does not have a leader.'])
  t.equal((await follower.call('DELETE', '/services/web')).status, 503)
})

t.test('an Engine that is down hides nothing of the swarm', async (t) => {
  const node = await startNode(t)
  node.engine.isDown = true
  t.equal((await node.call('GET', '/_ping')).status, 200)
  t.equal((await node.call('GET', '/services')).status, 200)
  const info = (await node.call('GET', '/info')).body
  t.match(info, { Swarm: { ControlAvailable: true }, Warnings: [/does not answer/] })
  const containers = await node.call('GET', '/containers/json')
  t.match(
    [containers.status, containers.body.message],
    [503, /the local Docker Engine does not answer \(.*\); start it/],
  )
})
