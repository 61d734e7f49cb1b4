import t from 'tap'
import { withoutNewerFields } from '../../src/http/newer-fields.ts'
import { serviceBody, startNode } from '../support/http/api-node.ts'

t.test(
  'the lower API version is advertised; the swarm’s endpoints know every version',
  async (t) => {
    const node = await startNode(t, { engineVersion: '1.41' })
    t.equal((await node.call('GET', '/_ping')).headers['api-version'], '1.41')
    const { body } = await node.call('GET', '/version')
    t.match(body, { ApiVersion: '1.41', Components: [{ Details: { ApiVersion: '1.41' } }] })
    for (const version of ['/v1.24', '/v1.41', '/v1.51', '']) {
      for (const path of ['/services', '/nodes/', '/tasks', '/secrets', '/configs', '/swarm']) {
        t.equal((await node.call('GET', `${version}${path}`)).status, 200, `${version}${path}`)
      }
    }
    const networks = (await node.call('GET', '/v1.51/networks')).body
    t.match(networks, [{ Name: 'bridge' }, { Name: 'ingress' }])
    t.equal(node.engine.requests('GET', '/v1.41/networks').length, 1, 'as the Engine knows it')
    const tooNew = await node.call('GET', '/v1.52/services')
    t.equal(tooNew.status, 400)
    t.equal(
      tooNew.body.message,
      'client version 1.52 is too new. Maximum supported API version is 1.51',
    )
    const tooOld = await node.call('GET', '/v1.23/services')
    t.equal(tooOld.status, 400)
    t.match(
      tooOld.body.message,
      /^client version 1.23 is too old. Minimum supported API version is/,
    )
    node.engine.version = '1.99'
    t.equal((await node.call('GET', '/_ping')).headers['api-version'], '1.51')
    const local = (await node.call('GET', '/version')).body
    t.match(local, { ApiVersion: '1.51', Components: [{ Details: { ApiVersion: '1.51' } }] })
  },
)

t.test('what a version of the API does not have', async (t) => {
  const node = await startNode(t)
  await node.call('POST', '/networks/create', { body: { Name: 'back', Driver: 'overlay' } })
  const Networks = [{ Target: 'back' }]
  await node.call('POST', '/v1.24/services/create', { body: serviceBody('old', { Networks }) })
  const old = (await node.call('GET', '/v1.24/services/old')).body
  t.match(old.Spec, { Networks: [{ Target: /^id/ }], TaskTemplate: { Networks: [{}] } })
  t.match((await node.call('GET', '/v1.24/services')).body[0].Spec, { Networks: [{}] })
  t.notOk((await node.call('GET', '/v1.25/services/old')).body.Spec.Networks)
  t.notOk((await node.call('GET', '/v1.40/services?status=true')).body[0].ServiceStatus)
  t.ok((await node.call('GET', '/v1.41/services?status=true')).body[0].ServiceStatus)
  const templated = { Name: 'a', Data: 'eA==', Templating: { Name: 'golang' } }
  for (const noun of ['secret', 'config']) {
    const refused = await node.call('POST', `/v1.36/${noun}s/create`, { body: templated })
    t.equal(refused.status, 400)
    t.equal(
      refused.body.message,
      `${noun} templating is not supported on the specified API version: 1.36`,
    )
    t.equal((await node.call('POST', `/v1.37/${noun}s/create`, { body: templated })).status, 201)
  }
  for (const [path, message] of [
    ['/services?status=maybe', 'invalid value for status: maybe'],
    ['/services/old?insertDefaults=x', 'invalid value for insertDefaults: x'],
  ]) {
    t.match(await node.call('GET', path!), { status: 400, body: { message } })
  }
  for (const [path, message] of [
    [
      '/services/old/update?version=x',
      `invalid service version 'x': strconv.ParseUint: parsing "x": invalid syntax`,
    ],
    ['/services/old/update?version=1&registryAuthFrom=x', "invalid registryAuthFrom 'x'"],
    ['/services/old/update?version=1&rollback=x', 'unrecognized rollback option x'],
    ['/swarm/update?version=1&rotateWorkerToken=x', 'invalid value for rotateWorkerToken: x'],
    ['/nodes/x/update', `invalid node version '': strconv.ParseUint: parsing "": invalid syntax`],
  ]) {
    t.match(await node.call('POST', path!, { body: serviceBody('old') }), {
      status: 400,
      body: { message },
    })
  }
  await node.call('POST', '/swarm/leave?force=yes')
  const init = { DefaultAddrPool: ['10.9.0.0/16'], SubnetSize: 24, DataPathPort: 5000 }
  await node.call('POST', '/v1.38/swarm/init', { body: init })
  const asked = node.swarm.calls.at(-1)
  t.match(asked, ['init', { DefaultAddrPool: [], SubnetSize: 0, DataPathPort: 0 }])
  t.strictSame(node.swarm.calls.at(-2), ['leave', true], 'what is not false is true')
})

t.test('fields that a client’s API version does not have are not taken from it', async (t) => {
  const sent = {
    Mode: { ReplicatedJob: {} },
    TaskTemplate: {
      ContainerSpec: { Sysctls: {}, CapabilityAdd: [], OomScoreAdj: 1, Privileges: { Seccomp: 1 } },
      Placement: { MaxReplicas: 1, Constraints: [] },
      Resources: { Limits: { Pids: 1, NanoCPUs: 1 } },
    },
  }
  t.same(withoutNewerFields(sent, '1.39'), {
    Mode: {},
    TaskTemplate: {
      ContainerSpec: { Privileges: {} },
      Placement: { Constraints: [] },
      Resources: { Limits: { NanoCPUs: 1 } },
    },
  })
  t.match(withoutNewerFields(sent, '1.41'), { Mode: { ReplicatedJob: {} } })
  t.same(withoutNewerFields(sent, '1.46'), sent)
  t.equal(withoutNewerFields(null, '1.24'), null)
  const node = await startNode(t)
  const body = serviceBody('web', {
    TaskTemplate: { ContainerSpec: { Image: 'nginx', OomScoreAdj: 5 } },
  })
  await node.call('POST', '/v1.45/services/create', { body })
  await node.call('POST', '/services/create', { body: { ...body, Name: 'bare' } })
  const adjustment = (name: string) =>
    node.swarm.store.view().byName('service', name)?.Spec.TaskTemplate.ContainerSpec?.OomScoreAdj
  t.equal(adjustment('web'), undefined)
  t.equal(adjustment('bare'), 5, 'no version in the path: everything there is')
})

t.test(
  'where the answer is half the swarm’s, an older Engine’s minimum refuses nobody',
  async (t) => {
    const node = await startNode(t)
    node.engine.oldestVersion = '1.44'
    t.match((await node.call('GET', '/v1.24/networks')).body, [
      { Name: 'bridge' },
      { Name: 'ingress' },
    ])
    t.equal((await node.call('GET', '/v1.30/networks/bridge')).status, 200)
    t.match((await node.call('GET', '/v1.24/info')).body, {
      ID: 'engine',
      Swarm: { LocalNodeState: 'active' },
    })
    const events = await node.open('GET', '/v1.24/events')
    t.equal(events.statusCode, 200)
    events.destroy()
    for (const path of [
      '/v1.44/networks',
      '/v1.44/networks/bridge',
      '/v1.44/info',
      '/v1.44/events',
    ]) {
      t.equal(node.engine.requests('GET', path).length, 1, path)
    }
    await node.call('GET', '/v1.45/info')
    t.equal(node.engine.requests('GET', '/v1.45/info').length, 1, 'in the client’s version')
    t.equal((await node.call('GET', '/v1.24/images/json')).status, 400, 'its own affair')
  },
)
