import t from 'tap'
import { OVERLAY_BRIDGE_LABEL } from '../../src/api/overlay-bridge.ts'
import { NETWORK_LABEL } from '../../src/overlay/names.ts'
import { serviceBody, startNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleTask } from '../support/objects.ts'

t.test('networks: the swarm’s are the cluster’s, all others the Engine’s', async (t) => {
  const node = await startNode(t)
  const made = await node.call('POST', '/v1.41/networks/create', {
    body: { Name: 'back', Driver: 'overlay', IPAM: null, Options: null, Labels: { a: 'b' } },
  })
  t.match([made.status, made.body], [201, { Id: /^id/, Warning: '' }])
  const listed = (await node.call('GET', '/v1.41/networks')).body
  t.same(
    listed.map((one: { Name: string; Scope: string }) => `${one.Name} ${one.Scope}`).sort(),
    ['back swarm', 'bridge local', 'ingress swarm'],
    'neither the bridges of overlays nor predefined networks',
  )
  const inspected = (await node.call('GET', '/networks/back')).body
  t.match(inspected, {
    Id: made.body.Id,
    Scope: 'swarm',
    Driver: 'overlay',
    Labels: { a: 'b' },
    IPAM: { Driver: 'default' },
  })
  t.equal((await node.call('GET', '/networks/bridge')).body.Scope, 'local')
  t.equal((await node.call('GET', '/networks/back?scope=local')).status, 404)
  t.equal((await node.call('GET', '/networks/bridge?scope=swarm')).status, 404)
  const host = await node.call('GET', '/networks/host?scope=swarm')
  t.match([host.status, host.body], [200, { Name: 'host', Driver: 'host', Scope: 'swarm' }])
  const Options = { encrypted: '' }
  await node.call('POST', '/networks/create', {
    body: { Name: 'vault', Driver: 'overlay', Options },
  })
  t.match((await node.call('GET', '/v1.41/networks/vault')).body, { Options }, 'as it was sent')
  const local = { Name: 'mine', Driver: 'bridge' }
  t.equal((await node.call('POST', '/networks/create', { body: local })).body.Id[0], 'd')
  t.same(JSON.parse(node.engine.requests('POST', '/networks/create')[0]!.body), local)
  t.equal((await node.call('DELETE', '/networks/back')).status, 204)
  t.equal((await node.call('GET', '/networks/back')).status, 404)
})

t.test(
  'what was asked for of a network comes back, and what has no effect is warned of',
  async (t) => {
    const node = await startNode(t)
    const asked = {
      ...{ Name: 'asked', Driver: 'overlay', Scope: 'swarm', EnableIPv4: true, EnableIPv6: true },
      ...{ Internal: true, Attachable: true, Ingress: false, ConfigOnly: false },
      ConfigFrom: { Network: '' },
      IPAM: {
        Driver: 'default',
        Options: { serial: 'true' },
        Config: [
          { Subnet: 'fd00:77::/64', IPRange: 'fd00:77::/80', Gateway: 'fd00:77::9' },
          {
            ...{ Subnet: '10.77.0.0/16', IPRange: '10.77.128.0/17', Gateway: '10.77.0.9' },
            AuxiliaryAddresses: { router: '10.77.0.7' },
          },
        ],
      },
      Options: { encrypted: '', 'com.docker.network.driver.mtu': '1400', 'com.example.a': 'b' },
      Labels: { a: '1', empty: '' },
    }
    const made = await node.call('POST', '/networks/create', {
      body: { ...asked, CheckDuplicate: true, Novelty: { x: 1 } },
    })
    t.equal(made.status, 201, made.body.message)
    const Warning = [
      'Novelty: this field is not known here; it is not kept',
      'option com.example.a is kept, but without effect',
      'IPAM option serial is kept, but without effect',
      'auxiliary addresses are not kept free, as with Swarm; choose an IP range without them',
      'each node has its own gateway, 10.77.0.9 is unused',
      'IPv6 addresses follow the IPv4 ones, fd00:77::/80 is unused',
      'each node has its own gateway, fd00:77::9 is unused',
    ]
    t.strictSame(
      made.body.Warning.split('; network asked: ').join('\n'),
      `network asked: ${Warning.join('\n')}`,
    )
    const shown = async () => {
      const {
        Id: _,
        Created: __,
        Containers: ___,
        ...rest
      } = (await node.call('GET', '/networks/asked')).body
      return rest
    }
    t.strictSame(await shown(), asked, 'before the allocator has seen it')
    await node.swarm.store.update((tx) => {
      const network = tx.get('network', made.body.Id)!
      const Configs = [
        { Subnet: '10.77.0.0/16', Range: '10.77.128.0/17' },
        { Subnet: 'fd00:77::/64', Gateway: 'fd00:77::1' },
      ]
      tx.put('network', { ...network, IPAMOptions: { Configs } })
    })
    t.strictSame(await shown(), asked)
  },
)

t.test('networks: who uses one, and the removal of those that nobody does', async (t) => {
  const node = await startNode(t)
  const create = (Name: string, more: object = {}) =>
    node.call('POST', '/networks/create', { body: { Name, Driver: 'overlay', ...more } })
  const id = (await create('used', { IPAM: { Options: { a: 'b' } } })).body.Id
  await create('kept', { Labels: { keep: '1' } })
  await create('idle')
  const body = serviceBody('web', { Networks: [{ Target: 'used' }] })
  const service = (await node.call('POST', '/services/create', { body })).body.ID
  await node.swarm.store.update((tx) => {
    const task = sampleTask('t1'.padEnd(25, '0'), service)
    const network = tx.get('network', id)!
    tx.put('task', {
      ...task,
      NodeID: NODE_ID,
      Status: { ...task.Status, State: 'running' },
      Swarmctl: { ...task.Swarmctl, ServiceName: 'web' },
      NetworksAttachments: [{ Network: network, Addresses: ['10.0.1.3/16'] }],
    })
    // As JavaScript's objects have a property.
    tx.put('task', {
      ...sampleTask('t2'.padEnd(25, '0'), service),
      NodeID: NODE_ID,
      Status: { ...task.Status, State: 'running' },
      Swarmctl: { ...task.Swarmctl, ServiceName: 'constructor' },
      NetworksAttachments: [{ Network: network, Addresses: ['10.0.1.4/16'] }],
    })
  })
  node.engine.overlayId = id
  const plain = (await node.call('GET', '/networks/used')).body
  t.match(plain, {
    Containers: { c1: { Name: 'web.1.t1' } },
    Peers: [{ Name: NODE_ID.slice(0, 12), IP: '192.168.0.1' }],
    IPAM: { Options: { a: 'b' } },
    EnableIPv4: true,
  })
  t.notOk(plain.Services)
  t.notOk('EnableIPv4' in (await node.call('GET', '/v1.47/networks/used')).body)
  const verbose = (await node.call('GET', '/networks/used?verbose=true')).body
  t.match(verbose.Services.web.Tasks, [
    { Name: /^web\.1\.t1/, EndpointIP: '10.0.1.3', Info: { 'Host IP': '192.168.0.1' } },
  ])
  t.match(verbose.Services.constructor.Tasks, [{ EndpointIP: '10.0.1.4' }])
  const filters = encodeURIComponent(JSON.stringify({ 'label!': { keep: true } }))
  const pruned = await node.call('POST', `/v1.41/networks/prune?filters=${filters}`)
  t.strictSame(pruned.body, { NetworksDeleted: ['idle', 'unused'] })
  const asked = node.engine.requests('POST', /^\/v1\.41\/networks\/prune/)[0]!
  t.match(decodeURIComponent(asked.url), '"swarmctl.network":true', 'no bridge of ours goes')
  const none = encodeURIComponent(JSON.stringify({ until: { '24h': true } }))
  const recent = await node.call('POST', `/networks/prune?filters=${none}`)
  t.strictSame(recent.body, { NetworksDeleted: ['unused'] }, 'all are younger')
  t.strictSame((await node.call('POST', '/networks/prune')).body.NetworksDeleted, [
    'kept',
    'unused',
  ])
  t.equal((await node.call('POST', '/networks/prune?filters={"colour":["x"]}')).status, 400)
  const settings = { Name: 'mere', Driver: 'overlay', ConfigOnly: true }
  t.equal((await node.call('POST', '/networks/create', { body: settings })).body.Id[0], 'd')
  const passed = JSON.parse(node.engine.requests('POST', '/networks/create').at(-1)!.body)
  t.strictSame(passed, { ...settings, Driver: 'bridge' }, 'an Engine without a swarm takes it')
  node.swarm.state.role = 'worker'
  const refused = await create('x')
  t.match(refused, {
    status: 403,
    body: { message: /^Cannot create a multi-host network from a w/ },
  })
  t.strictSame((await node.call('POST', '/networks/prune')).body, { NetworksDeleted: ['unused'] })
})

t.test('what the Engine refuses for good is no reason to try again', async (t) => {
  const node = await startNode(t)
  const { answers } = node.engine
  const call = async (method: string, path: string) => {
    const { status, body } = await node.call(method, path)
    return [status, body.message, body.code]
  }
  for (const [status, message, code] of [
    [400, "invalid filter 'colour'", 'INVALID_ARGUMENT'],
    [403, 'authorization denied by plugin', 'PERMISSION_DENIED'],
    [409, 'a prune operation is already running', 'ALREADY_EXISTS'],
  ] as const) {
    answers.set('GET /networks', { status, body: { message } })
    answers.set('POST /networks/prune', { status, body: { message } })
    t.strictSame(await call('GET', '/networks'), [status, message, code])
    t.strictSame(await call('POST', '/networks/prune'), [status, message, code])
  }
  answers.set('GET /networks', { status: 500, body: { message: 'it is starting' } })
  t.strictSame(await call('GET', '/networks'), [503, 'it is starting', 'ENGINE_UNAVAILABLE'])
  for (const list of ['x', '{}', '[1]']) {
    t.strictSame((await call('POST', `/networks/prune?prunedHere=${list}`))[0], 400, list)
  }
})

t.test('an Engine that refuses to say what it has keeps no network from the cluster', async (t) => {
  const node = await startNode(t)
  const body = { message: 'network twice is ambiguous (2 matches found on name)' }
  for (const status of [400, 403, 409, 500]) {
    const name = `twice${status}`
    node.engine.answers.set(`GET /networks/${name}`, { status, body })
    const asked = { body: { Name: name, Driver: 'overlay' } }
    t.equal((await node.call('POST', '/networks/create', asked)).status, 201, name)
    node.engine.answers.set('GET /networks', { status, body })
    t.strictSame((await node.call('GET', `/networks/${name}`)).body.Containers, {}, name)
  }
})

t.test('a name is one network’s, the swarm’s or the Engine’s', async (t) => {
  const node = await startNode(t)
  const create = (Name: string, Driver: string) =>
    node.call('POST', '/networks/create', { body: { Name, Driver } })
  const taken = (Name: string) => ({
    status: 409,
    body: { message: `network with name ${Name} already exists` },
  })
  node.engine.answers.set('GET /networks/app_default', {
    status: 200,
    body: { Name: 'app_default', Id: 'e'.repeat(64), Driver: 'bridge', Scope: 'local' },
  })
  t.match(await create('app_default', 'overlay'), taken('app_default'))
  t.equal((await create('back', 'overlay')).status, 201)
  t.match(await create('back', 'bridge'), taken('back'))
  t.equal((await create('bac', 'bridge')).status, 201)
  t.equal(node.engine.requests('POST', '/networks/create').length, 1)
  const six = { body: { Name: 'six', Driver: 'overlay', EnableIPv4: false } }
  t.equal((await node.call('POST', '/v1.48/networks/create', six)).status, 400)
  t.equal((await node.call('POST', '/v1.47/networks/create', six)).status, 201, 'not known there')
})

t.test('a service that names a network of the Engine’s is told why not', async (t) => {
  const node = await startNode(t)
  const create = (Target: string) =>
    node.call('POST', '/services/create', { body: serviceBody('web', { Networks: [{ Target }] }) })
  t.match(await create('st_mv'), { status: 404, body: { message: 'network st_mv not found' } })
  const body = { Name: 'st_mv', Id: 'e'.repeat(64), Driver: 'macvlan', Scope: 'local' }
  node.engine.answers.set('GET /networks/st_mv', { status: 200, body })
  t.match(await create('st_mv'), {
    status: 403,
    body: { message: /^The network st_mv cannot be used with services. Only networks scoped to/ },
  })
  node.engine.isDown = true
  t.equal((await create('st_mv')).status, 404)
})

t.test('a whole name of the Engine’s is meant before a part of an id of the swarm’s', async (t) => {
  const node = await startNode(t)
  const body = { Name: 'back', Driver: 'overlay' }
  const { Id } = (await node.call('POST', '/networks/create', { body })).body
  const part = Id.slice(0, Id.length - 1)
  t.equal((await node.call('GET', `/networks/${part}`)).body.Scope, 'swarm')
  const Local = { Name: part, Id: 'e'.repeat(64), Driver: 'bridge', Scope: 'local' }
  node.engine.answers.set(`GET /networks/${part}`, { status: 200, body: Local })
  node.engine.answers.set(`DELETE /networks/${part}`, { status: 200, body: {} })
  t.equal((await node.call('GET', `/networks/${part}`)).body.Scope, 'local')
  await node.call('DELETE', `/networks/${part}`)
  t.equal((await node.call('GET', `/networks/${Id}`)).status, 200, 'the swarm’s is still there')
  t.equal(node.engine.requests('DELETE', `/networks/${part}`).length, 1)
})

t.test('a follower has its own Engine’s networks pruned and the leader the swarm’s', async (t) => {
  const leader = await startNode(t)
  const follower = await startNode(t)
  await leader.call('POST', '/networks/create', { body: { Name: 'idle', Driver: 'overlay' } })
  follower.swarm.leader = { kind: 'forward', nodeId: 'x' }
  follower.swarm.leaderSocket = leader.socketPath
  const { body } = await follower.call('POST', '/networks/prune')
  t.strictSame(body, { NetworksDeleted: ['idle', 'unused'] })
  t.equal(leader.engine.requests('POST', /prune/).length, 0)
})

const TWIN = {
  ...{ Id: 'f'.repeat(64), Name: 'swarmctl-local-m1', Driver: 'macvlan', Scope: 'local' },
  ...{ IPAM: { Config: [{ Subnet: '192.168.50.0/24' }] }, Options: { parent: 'eth0' } },
  Labels: {
    ...{ 'swarmctl.network': 'm1', 'com.docker.swarm.network.name': 'mv' },
    ...{ 'swarmctl.config-from': 'conf', rack: '7' },
  },
}

t.test('a node-local network is the swarm’s, and shown as this node has it', async (t) => {
  const node = await startNode(t)
  const { answers } = node.engine
  const ConfigFrom = { Network: 'conf' }
  const wanted = { Name: 'mv', Driver: 'macvlan', Scope: 'swarm', ConfigFrom, Attachable: true }
  const create = (body: object) => node.call('POST', '/networks/create', { body })
  const absent = { status: 404, body: { message: 'configuration network "conf" does not exist' } }
  t.match(await create(wanted), absent)
  answers.set('GET /networks/conf', { status: 200, body: { Name: 'conf', ConfigOnly: false } })
  t.match(await create(wanted), absent)
  answers.set('GET /networks/conf', { status: 200, body: { Name: 'conf', ConfigOnly: true } })
  const { Id } = (await create(wanted)).body
  t.match((await node.call('GET', '/networks/mv')).body, {
    ...{ Id, Name: 'mv', Driver: 'macvlan', Scope: 'swarm', Attachable: true, ConfigFrom },
    ...{ IPAM: { Driver: '', Options: null, Config: [] }, Options: null },
  })
  const labels = { ...TWIN.Labels, 'swarmctl.network': Id }
  const twin = { ...TWIN, Name: `swarmctl-local-${Id}`, Labels: labels }
  answers.set('GET /networks', { status: 200, body: [twin] })
  answers.set(`GET /networks/${twin.Id}`, {
    status: 200,
    body: { ...twin, Containers: { c1: { Name: 'web.1.t1' } } },
  })
  const shown = (await node.call('GET', '/networks/mv')).body
  t.match(shown, {
    ...{ Id, Name: 'mv', Driver: 'macvlan', Scope: 'swarm', Attachable: true, ConfigFrom },
    ...{ IPAM: TWIN.IPAM, Options: TWIN.Options, Containers: { c1: { Name: 'web.1.t1' } } },
  })
  t.strictSame(shown.Labels, { rack: '7' })
  const listed = (await node.call('GET', '/networks')).body as { Name: string }[]
  t.strictSame(listed.map(({ Name }) => Name).sort(), ['ingress', 'mv'], 'the twin is no other')
  answers.clear()
  node.engine.isDown = true
  t.equal((await create({ ...wanted, Name: 'other' })).status, 201, 'nobody to ask')
  node.engine.isDown = false
  const settings = { Name: 'c2', Scope: 'swarm', ConfigOnly: true }
  t.equal((await create(settings)).body.Id[0], 'd', 'the Engine’s to refuse')
})

t.test('a worker shows the node-local networks that it has made', async (t) => {
  const node = await startNode(t)
  node.swarm.state.role = 'worker'
  node.engine.answers.set('GET /networks', { status: 200, body: [TWIN] })
  node.engine.answers.set(`GET /networks/${TWIN.Id}`, { status: 200, body: TWIN })
  const asMade = {
    ...{ Id: 'm1', Name: 'mv', Driver: 'macvlan', Scope: 'swarm', IPAM: TWIN.IPAM },
    ...{ Options: TWIN.Options, ConfigFrom: { Network: 'conf' }, Labels: { rack: '7' } },
  }
  t.strictSame((await node.call('GET', '/networks')).body, [asMade])
  t.strictSame((await node.call('GET', '/networks/mv')).body, asMade)
})

t.test('a worker shows the overlays that it has a part of', async (t) => {
  t.equal(OVERLAY_BRIDGE_LABEL, NETWORK_LABEL, 'what the overlay puts on its bridges')
  const node = await startNode(t)
  node.swarm.state.role = 'worker'
  const names = async (filters: object) => {
    const query = encodeURIComponent(JSON.stringify(filters))
    const { body } = await node.call('GET', `/networks?filters=${query}`)
    return body.map((one: { Name: string; Driver: string }) => `${one.Name} ${one.Driver}`)
  }
  t.strictSame(await names({}), ['bridge bridge', 'back overlay'])
  t.strictSame(await names({ scope: ['swarm'] }), ['back overlay'])
  t.strictSame(await names({ scope: ['swarm'], name: ['ac'] }), ['back overlay'])
  t.strictSame(await names({ scope: ['swarm'], name: ['x'] }), [])
  t.strictSame(await names({ scope: ['local'] }), ['bridge bridge'])
  for (const reference of ['back', 'n1', 'n']) {
    const { body } = await node.call('GET', `/networks/${reference}`)
    t.match(body, { Id: 'n1', Scope: 'swarm', Containers: { c1: { Name: 'web.1.t1' } } })
  }
  t.equal((await node.call('GET', '/networks/other')).status, 404)
})
