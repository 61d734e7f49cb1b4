import t, { type Test } from 'tap'
import { isOlder } from '../../src/http/api-version.ts'
import { type FullSpec, startWithFullSpec } from '../support/http/full-spec.ts'

// Go's decoder, and so Docker, takes the keys of a request in any mix of upper and lower case.

/** Maps whose keys a user chooses; `Options` are such a map where they are no list. */
const FREE = new Set(['Labels', 'Options', 'DriverOpts', 'Sysctls', 'AuxiliaryAddresses'])

/** A copy with every key that the API names spelt in another way. */
const respelt = (value: unknown, spell: (key: string) => string): unknown => {
  if (Array.isArray(value)) return value.map((item) => respelt(item, spell))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      spell(key),
      FREE.has(key) && !Array.isArray(child) ? child : respelt(child, spell),
    ]),
  )
}

const lower = (key: string) => key.toLowerCase()
const upper = (key: string) => key.toUpperCase()

const start = async (t: Test) => {
  const { node, spec } = await startWithFullSpec(t)
  return {
    node,
    spec: {
      ...spec,
      // More than one service shall have it.
      EndpointSpec: {
        Mode: 'vip',
        Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'host' }],
      },
      Labels: { Keep: 'Case', keep: 'case' },
      Swarmctl: { DrainLimit: 5 },
    },
  }
}

/** Configs were files, before they could be a credential spec. */
const before140 = <S extends Pick<FullSpec, 'TaskTemplate'>>(spec: S) => {
  const { ContainerSpec } = spec.TaskTemplate
  const Configs = ContainerSpec.Configs.filter((config) => 'File' in config)
  const TaskTemplate = { ...spec.TaskTemplate, ContainerSpec: { ...ContainerSpec, Configs } }
  return { ...spec, TaskTemplate }
}

t.test('every field of a service in any case, in every version of the API', async (t) => {
  const { node, spec } = await start(t)
  for (const version of ['/v1.24', '/v1.39', '/v1.40', '/v1.41', '/v1.44', '/v1.46', '']) {
    const shown = async (body: unknown, name: string) => {
      const created = await node.call('POST', `${version}/services/create`, { body })
      t.equal(created.status, 201, `${version} ${name}: ${created.body.message}`)
      const { Spec } = (await node.call('GET', `/services/${name}`)).body
      return { Spec: { ...Spec, Name: '' }, Warnings: created.body.Warnings }
    }
    const body = isOlder(version.slice(2) || undefined, '1.40') ? before140(spec) : spec
    const at = version.replace(/\W/g, '')
    const right = await shown({ ...body, Name: `right${at}` }, `right${at}`)
    if (version === '') t.strictSame(right.Spec, { ...spec, Name: '' })
    for (const [name, spell] of [
      ['low', lower],
      ['up', upper],
    ] as const) {
      const sent = respelt({ ...body, Name: `${name}${at}` }, spell)
      t.strictSame(await shown(sent, `${name}${at}`), right, `${version} ${name}`)
    }
  }
})

t.test('of several spellings the last one counts; an unknown key stays', async (t) => {
  const { node } = await start(t)
  const TaskTemplate = { ContainerSpec: { Image: 'a' } }
  const body = { Name: 'first', name: 'last', TaskTemplate, noVelty: { labels: 1, Labels: 2 } }
  t.equal((await node.call('POST', '/services/create', { body })).status, 201)
  const { Spec } = (await node.call('GET', '/services/last')).body
  t.strictSame(Spec.noVelty, { labels: 1, Labels: 2 })
  const unnamed = await node.call('POST', '/services/create', { body: { TaskTemplate, name: '' } })
  t.match((await node.call('GET', `/services/${unnamed.body.ID}`)).body.Spec.Name, /^\w+_\w+$/)
})

t.test('a body that is nested too deep is refused', async (t) => {
  const { node } = await start(t)
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
  const create = (name: string, novelty: unknown) => {
    const TaskTemplate = { ContainerSpec: { Image: 'a' } }
    return node.call('POST', '/services/create', { body: { Name: name, TaskTemplate, novelty } })
  }
  t.equal((await create('deep', nested(99))).status, 201)
  for (const levels of [100, 1000, 3000]) {
    const answer = await create('deeper', nested(levels))
    t.equal(answer.status, 400, `${levels} levels`)
    t.match(answer.body.message, /more than 100 levels/)
  }
})

t.test('every other request', async (t) => {
  const { node } = await start(t)
  const post = async (path: string, body: unknown, status: number) => {
    const answer = await node.call('POST', path, { body: respelt(body, lower) })
    t.equal(answer.status, status, `${path}: ${answer.body.message}`)
    return answer.body
  }
  const get = async (path: string) => (await node.call('GET', path)).body
  const next = async (path: string) => `${path}/update?version=${(await get(path)).Version.Index}`

  const Labels = { Keep: 'Case' }
  const IPAM = { Config: [{ Subnet: '10.77.0.0/24', IPRange: '10.77.0.0/25' }] }
  await post(
    '/networks/create',
    { Name: 'low', Driver: 'overlay', Internal: true, Labels, IPAM },
    201,
  )
  t.match(await get('/networks/low'), { Internal: true, Labels })
  for (const kind of ['secrets', 'configs']) {
    await post(`/${kind}/create`, { Name: 'low', Data: 'eA==', Labels }, 201)
    t.match((await get(`/${kind}/low`)).Spec, { Name: 'low', Labels })
    await post(await next(`/${kind}/low`), { Name: 'low', Labels: { New: '1' } }, 200)
    t.strictSame((await get(`/${kind}/low`)).Spec.Labels, { New: '1' })
    const Templating = { Name: 'golang' }
    await post(`/v1.36/${kind}/create`, { Name: 'old', Data: 'eA==', Templating }, 400)
  }
  const [{ ID }] = await get('/nodes')
  await post(await next(`/nodes/${ID}`), { Role: 'manager', Availability: 'drain', Labels }, 200)
  t.match((await get(`/nodes/${ID}`)).Spec, { Availability: 'drain', Labels })
  const swarm = await get('/swarm')
  const Orchestration = { TaskHistoryRetentionLimit: 9 }
  const settings = { Name: 'default', Orchestration }
  await post(`/swarm/update?version=${swarm.Version.Index}`, settings, 200)
  t.match((await get('/swarm')).Spec, { Orchestration })
  const asked = { Services: [{ Name: 'x', TaskTemplate: { ContainerSpec: { Image: 'a' } } }] }
  t.match(await post('/swarmctl/forecast', asked, 200), [{ Service: 'x', Wanted: 1 }])

  await node.call('POST', '/swarm/leave?force=true')
  await post('/v1.39/swarm/init', { AdvertiseAddr: 'a', DataPathPort: 9, Spec: settings }, 200)
  t.match(node.swarm.calls.at(-1), ['init', { AdvertiseAddr: 'a', DataPathPort: 0 }])
  await node.call('POST', '/swarm/leave?force=true')
  await post('/swarm/join', { RemoteAddrs: ['h:1'], JoinToken: 'j' }, 200)
  t.match(node.swarm.calls.at(-1), ['join', { RemoteAddrs: ['h:1'], JoinToken: 'j' }])
})
