import t from 'tap'
import type { AttachmentWish, GrantedAttachment } from '../../src/api/attachment-grant.ts'
import { ATTACHMENT_OPTION } from '../../src/api/attachment-record.ts'
import type { Clock } from '../../src/api/clock.ts'
import { notFound, SwarmctlError } from '../../src/api/errors.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { asWritten } from '../../src/http/body.ts'
import type { NetworkAttachments } from '../../src/http/ports.ts'
import { type Answer, type ApiNode, startNode } from '../support/http/api-node.ts'
import { VirtualClock } from '../support/orchestration/virtual-clock.ts'

const CONTAINER = 'f'.repeat(64)

/** An agent that grants whatever is asked for, on the bridge that the Engine has. */
class GrantingAgent implements NetworkAttachments {
  readonly wishes: AttachmentWish[] = []
  readonly calls: string[] = []
  refusal: SwarmctlError | undefined
  ipv6Address: string | undefined
  /** The networks of these names are node-local. */
  readonly nodeLocal = new Set<string>()
  /** Whether the container that is started is on the network. */
  isAttached = true

  async claim(wish: AttachmentWish): Promise<GrantedAttachment> {
    this.wishes.push(wish)
    if (this.refusal) throw this.refusal
    const { address, aliases, resolver } = wish
    if (this.nodeLocal.has(wish.network)) {
      const record = { networkId: 'm1', networkName: wish.network, isFixed: address !== '' }
      return {
        taskId: `t${this.wishes.length}`,
        endpoint: {
          ...{ dockerNetwork: 'swarmctl-local-m1', address },
          record: { ...record, aliases: [...aliases] },
        },
        ...{ dns: resolver?.nameservers ?? [], dnsSearch: [] },
      }
    }
    return {
      taskId: `t${this.wishes.length}`,
      endpoint: {
        ...{ dockerNetwork: 'swarmctl-1', address: address || '10.0.1.7' },
        ...(this.ipv6Address && { ipv6Address: this.ipv6Address }),
        record: {
          ...{ networkId: 'n1', networkName: 'back', isFixed: address !== '' },
          ...{ aliases: [...aliases], ...(resolver && { resolver }) },
        },
      },
      ...{ dns: ['10.0.1.1', ...(resolver?.nameservers ?? [])], dnsSearch: [] },
    }
  }

  async bind(granted: GrantedAttachment, container: { id: string; name: string }): Promise<void> {
    this.calls.push(`bind ${granted.taskId} ${container.id.slice(0, 2)} ${container.name}`)
  }

  async release(taskId: string): Promise<void> {
    this.calls.push(`release ${taskId}`)
  }

  async prepareStart(reference: string) {
    this.calls.push(`prepare ${reference}`)
    if (this.refusal) throw this.refusal
    const { endpoint } = await this.claim({ network: 'back', address: '', aliases: [] })
    return this.isAttached ? { id: CONTAINER, endpoints: [endpoint] } : undefined
  }

  hold(containerId: string): void {
    this.calls.push(`hold ${containerId.slice(0, 2)}`)
  }

  async refresh(containerId: string): Promise<void> {
    this.calls.push(`refresh ${containerId.slice(0, 2)}`)
  }
}

const start = async (test: Parameters<typeof startNode>[0], clock: Clock = systemClock) => {
  const node = await startNode(test, { clock })
  const agent = new GrantingAgent()
  node.swarm.networkAttachments = agent
  const { answers } = node.engine
  answers.set('POST /containers/create', { status: 201, body: { Id: CONTAINER, Warnings: [] } })
  answers.set(`GET /containers/${CONTAINER}/json`, {
    status: 200,
    body: { Id: CONTAINER, Name: '/alone' },
  })
  answers.set('GET /containers/alone/json', answers.get(`GET /containers/${CONTAINER}/json`)!)
  for (const Name of ['back', 'constructor', 'closed']) {
    const Attachable = Name !== 'closed'
    await node.call('POST', '/networks/create', { body: { Name, Driver: 'overlay', Attachable } })
  }
  return { node, agent }
}

const sent = (node: ApiNode, url: string | RegExp) =>
  JSON.parse(node.engine.requests('POST', url).at(-1)!.body)

t.test('docker create on a network of the cluster’s', async (t) => {
  const { node, agent } = await start(t)
  const made = await node.call('POST', '/v1.41/containers/create?name=alone', {
    body: {
      ...{ Image: 'a', Labels: { x: '1' } },
      HostConfig: { NetworkMode: 'back', Dns: ['1.1.1.1'], DnsSearch: [], Memory: 7 },
      NetworkingConfig: {
        EndpointsConfig: {
          back: {
            IPAMConfig: { IPv4Address: '10.0.1.9' },
            Aliases: ['me'],
            DriverOpts: { a: 'b' },
          },
        },
      },
    },
  })
  t.match([made.status, made.body], [201, { Id: CONTAINER }])
  const resolver = { nameservers: ['1.1.1.1'], options: [], search: [] }
  t.strictSame(agent.wishes, [{ network: 'back', address: '10.0.1.9', aliases: ['me'], resolver }])
  t.strictSame(agent.calls, ['bind t1 ff alone'])
  const body = sent(node, /^\/v1\.41\/containers\/create\?name=alone$/)
  const { DriverOpts } = body.NetworkingConfig.EndpointsConfig['swarmctl-1']
  t.strictSame(body, {
    ...{ Image: 'a', Labels: { x: '1' } },
    HostConfig: {
      ...{ NetworkMode: 'swarmctl-1', Dns: ['10.0.1.1', '1.1.1.1'], DnsSearch: [], Memory: 7 },
    },
    NetworkingConfig: {
      EndpointsConfig: {
        'swarmctl-1': { IPAMConfig: { IPv4Address: '10.0.1.9' }, DriverOpts },
      },
    },
  })
  t.equal(DriverOpts.a, 'b')
  t.strictSame(JSON.parse(DriverOpts[ATTACHMENT_OPTION]), {
    ...{ networkId: 'n1', networkName: 'back', isFixed: true, aliases: ['me'], resolver },
  })
  const networkingConfig = { ENDPOINTSCONFIG: { back: { aliases: ['you'] } } }
  await node.call('POST', '/containers/create', { body: { Image: 'a', networkingConfig } })
  t.match(agent.wishes.at(-1), { network: 'back', aliases: ['you'] }, 'keys in any case')
  await node.call('POST', '/containers/create', {
    body: { Image: 'a', hostconfig: { networkmode: 'back' } },
  })
  t.match(sent(node, '/containers/create'), {
    HostConfig: { NetworkMode: 'swarmctl-1', Dns: ['10.0.1.1'] },
    NetworkingConfig: {
      EndpointsConfig: { 'swarmctl-1': { IPAMConfig: { IPv4Address: '10.0.1.7' } } },
    },
  })
})

t.test('numbers that a double does not hold stay whole', async (t) => {
  const { node } = await start(t)
  const ulimit = '{"Name":"core","Soft":9223372036854775807,"Hard":9223372036854775807}'
  const body = `{"Image":"a","HostConfig":{"NetworkMode":"back","Ulimits":[${ulimit}]}}`
  t.equal((await node.call('POST', '/containers/create', { body })).status, 201)
  t.ok(node.engine.requests('POST', '/containers/create').at(-1)?.body.includes(ulimit))

  const HostConfig = { Ulimits: [{ Hard: asWritten('9223372036854775807') }] }
  const NetworkSettings = { Networks: { 'swarmctl-1': { NetworkID: 'c' } } }
  const described = { status: 200, body: { Id: CONTAINER, HostConfig, NetworkSettings } }
  node.engine.answers.set('GET /containers/alone/json', described)
  let text = ''
  for await (const chunk of await node.open('GET', '/containers/alone/json')) text += chunk
  t.match(text, '{"Hard":9223372036854775807}')
  t.match(text, '"back"')
})

t.test('a network that is called as a property of JavaScript’s objects', async (t) => {
  const { node } = await start(t)
  const body = { Image: 'a', HostConfig: { NetworkMode: 'constructor' } }
  t.equal((await node.call('POST', '/containers/create', { body })).status, 201)
  t.match(sent(node, '/containers/create'), {
    HostConfig: { NetworkMode: 'swarmctl-1' },
    NetworkingConfig: {
      EndpointsConfig: { 'swarmctl-1': { IPAMConfig: { IPv4Address: '10.0.1.7' } } },
    },
  })
})

t.test('a network by its id and by its name, and settings that are none', async (t) => {
  const { node, agent } = await start(t)
  const { Id } = (await node.call('GET', '/networks/back')).body
  await node.call('POST', '/containers/create', {
    body: {
      HostConfig: { NetworkMode: Id },
      NetworkingConfig: { EndpointsConfig: { back: { Aliases: ['me'] } } },
    },
  })
  t.strictSame(agent.calls, ['release t2', 'bind t1 ff alone', 'bind t1 ff alone'])
  const body = sent(node, '/containers/create')
  t.equal(body.HostConfig.NetworkMode, 'swarmctl-1')
  t.strictSame(Object.keys(body.NetworkingConfig.EndpointsConfig), ['swarmctl-1'])
  const { DriverOpts } = body.NetworkingConfig.EndpointsConfig['swarmctl-1']
  t.match(JSON.parse(DriverOpts[ATTACHMENT_OPTION]), { aliases: ['me'] })
  await node.call('POST', '/networks/back/connect', {
    body: { Container: 'alone', EndpointConfig: { Aliases: 7 } },
  })
  t.strictSame(sent(node, '/networks/swarmctl-1/connect').EndpointConfig, { Aliases: 7 })
})

t.test('a node that resumes is waited for, unless the network is the Engine’s', async (t) => {
  const clock = new VirtualClock()
  const { node, agent } = await start(t, clock)
  const { state } = node.swarm
  /** The answer, as soon as enough time has passed for it. */
  const inTime = async (call: Promise<Answer>): Promise<Answer> => {
    let isOver = false
    const answered = call.finally(() => {
      isOver = true
    })
    while (!isOver) await clock.advance(100)
    return answered
  }
  const create = (NetworkMode: string) =>
    node.call('POST', '/containers/create', { body: { Image: 'a', HostConfig: { NetworkMode } } })
  state.localNodeState = 'pending'
  node.swarm.networkAttachments = undefined
  t.equal((await create('swarmctl-1')).status, 201)
  const created = create('back')
  const connected = node.call('POST', '/networks/back/connect', { body: { Container: 'alone' } })
  while (node.engine.requests('GET', '/networks/back').length < 2)
    await new Promise((resolve) => setImmediate(resolve))
  t.equal(node.engine.requests('POST', '/containers/create').length, 1, 'it waits')
  state.localNodeState = 'active'
  node.swarm.networkAttachments = agent
  t.equal((await inTime(created)).status, 201)
  t.equal((await inTime(connected)).status, 404, 'the stand-in Engine has no such bridge')
  t.equal(agent.wishes.length, 2)
  state.localNodeState = 'pending'
  node.swarm.networkAttachments = undefined
  const startMs = clock.nowMs()
  const refused = await inTime(create('back'))
  t.ok(clock.nowMs() - startMs >= 5000)
  t.match([refused.status, refused.body.message], [503, /does not take part in its swarm yet/])
})

t.test('bodies that are none', async (t) => {
  const { node } = await start(t)
  for (const body of [null, 7, '"x"', [], { HostConfig: null, NetworkingConfig: 7 }]) {
    t.equal((await node.call('POST', '/containers/create', { body })).status, 201, 'the Engine’s')
    const connected = await node.call('POST', '/networks/back/connect', { body })
    t.match([connected.status, connected.body.message], [404, 'No such container: '])
  }
})

t.test(
  'on a network with IPv6 the address that goes with the other is given, and no other',
  async (t) => {
    const { node, agent } = await start(t)
    agent.ipv6Address = 'fd00:1::a00:107'
    const IPv6Address = 'FD00:1:0:0::a00:107'
    for (const IPAMConfig of [undefined, { IPv6Address }]) {
      const EndpointConfig = { ...(IPAMConfig && { IPAMConfig }) }
      const body = { Container: 'alone', EndpointConfig }
      await node.call('POST', '/networks/back/connect', { body })
      t.match(sent(node, '/networks/swarmctl-1/connect').EndpointConfig, {
        IPAMConfig: { IPv4Address: '10.0.1.7', IPv6Address: 'fd00:1::a00:107' },
      })
    }
    const other = { IPAMConfig: { IPv6Address: 'fd00:1::9' } }
    const connected = await node.call('POST', '/networks/back/connect', {
      body: { Container: 'alone', EndpointConfig: other },
    })
    t.match(
      [connected.status, (connected.body as { message: string }).message],
      [400, /invalid IPv6 address fd00:1::9: on network back/],
    )
    t.equal(agent.calls.at(-1), 'refresh ff')
    const created = await node.call('POST', '/containers/create', {
      body: { Image: 'a', NetworkingConfig: { EndpointsConfig: { back: other } } },
    })
    t.equal(created.status, 400)
    t.match(agent.calls.at(-1), /^release t/)
  },
)

t.test('what the Engine refuses is given back', async (t) => {
  const { node, agent } = await start(t)
  const message = 'network swarmctl-1 is full of swarmctl-12'
  node.engine.answers.set('POST /containers/create', { status: 409, body: { message } })
  const body = { Image: 'a', HostConfig: { NetworkMode: 'back' } }
  const answer = await node.call('POST', '/containers/create', { body })
  t.strictSame([answer.status, answer.body.message], [409, 'network back is full of swarmctl-12'])
  t.strictSame(agent.calls, ['release t1'])
  node.engine.answers.set('POST /networks/swarmctl-1/connect', { status: 403, body: { message } })
  const connect = { Container: 'alone', EndpointConfig: null }
  t.equal((await node.call('POST', '/networks/back/connect', { body: connect })).status, 403)
  t.strictSame(agent.calls.slice(1), ['refresh ff'])
})

t.test('what is not attachable, what nobody knows, and what is the Engine’s', async (t) => {
  const { node, agent } = await start(t)
  const refused = async (error: SwarmctlError, status: number) => {
    agent.refusal = error
    const body = { Image: 'a', HostConfig: { NetworkMode: 'closed' } }
    const created = await node.call('POST', '/containers/create?name=x', { body })
    const connected = await node.call('POST', '/networks/closed/connect', {
      body: { Container: 'alone' },
    })
    const started = await node.call('POST', '/containers/alone/start')
    for (const answer of [created, connected, started])
      t.match([answer.status, answer.body.message], [status, error.message])
  }
  const text = 'Could not attach to network closed: network closed not manually attachable'
  await refused(new SwarmctlError('PERMISSION_DENIED', text), 403)
  await refused(new SwarmctlError('UNAVAILABLE', 'no manager'), 503)
  t.equal(node.engine.requests('POST', /containers|connect/).length, 0)
  agent.refusal = undefined
  agent.isAttached = false
  const body = { Image: 'a', HostConfig: { NetworkMode: 'mine' }, Labels: { x: '1' } }
  await node.call('POST', '/v1.51/containers/create?name=y', { body })
  await node.call('POST', '/networks/mine/connect', { body: { Container: 'y' } })
  await node.call('POST', '/networks/mine/disconnect', { body: { Container: 'y', Force: true } })
  await node.call('POST', '/containers/y/start')
  const [created, connected, disconnected, started] = node.engine.requests(
    'POST',
    /containers|connect/,
  )
  t.strictSame(JSON.parse(created!.body), body, 'what is the Engine’s goes there as it came')
  t.match(created!.url, '/v1.51/containers/create?name=y')
  t.strictSame(JSON.parse(connected!.body), { Container: 'y' })
  t.strictSame(JSON.parse(disconnected!.body), { Container: 'y', Force: true })
  t.equal(started!.url, '/containers/y/start')
  t.strictSame(
    agent.calls.filter((call) => !call.startsWith('prepare')),
    [],
  )
})

t.test('connect, disconnect, start', async (t) => {
  const { node, agent } = await start(t)
  const network = (await node.call('GET', '/networks/back')).body
  node.engine.overlayId = network.Id
  const { answers } = node.engine
  const off = { Container: 'alone', Force: true }
  answers.set('POST /networks/swarmctl-1/connect', { status: 200, body: '' })
  answers.set('POST /networks/swarmctl-1/disconnect', { status: 200, body: '' })
  answers.set('POST /containers/alone/start', { status: 200, body: '' })
  const EndpointConfig = { Aliases: ['other'], IPAMConfig: { IPv4Address: '10.0.1.8' } }
  const body = { Container: 'alone', EndpointConfig }
  t.equal((await node.call('POST', '/networks/back/connect', { body })).status, 200)
  t.match(agent.wishes, [
    { network: 'back', address: '10.0.1.8', container: { id: CONTAINER, name: 'alone' } },
  ])
  t.match(sent(node, '/networks/swarmctl-1/connect'), {
    Container: 'alone',
    EndpointConfig: { IPAMConfig: { IPv4Address: '10.0.1.8' }, DriverOpts: {} },
  })
  const message = 'network nosuch not found'
  answers.set('POST /networks/nosuch/connect', { status: 404, body: { message } })
  const unknown = await node.call('POST', '/networks/nosuch/connect', { body: off })
  t.equal(unknown.body.message, `Could not attach to network nosuch: ${message}`)
  const absent = await node.call('POST', '/networks/back/connect', { body: { Container: 'gone' } })
  t.match([absent.status, absent.body.message], [404, 'No such container: gone'])
  t.equal((await node.call('POST', '/containers/alone/start')).status, 200)
  t.equal((await node.call('POST', '/networks/back/disconnect', { body: off })).status, 200)
  t.strictSame(sent(node, '/networks/swarmctl-1/disconnect'), off)
  t.strictSame(agent.calls, ['refresh ff', 'prepare alone', 'refresh ff', 'hold ff', 'refresh ff'])
  node.engine.overlayId = 'another'
  const { status } = await node.call('POST', '/networks/back/disconnect', { body: off })
  t.equal(status, 404, 'its bridge is not on this node')
})

t.test('on a worker the leader is asked, unless its Engine knows the network', async (t) => {
  const { node, agent } = await start(t)
  node.swarm.state.role = 'worker'
  const create = (NetworkMode: string) =>
    node.call('POST', '/containers/create', { body: { Image: 'a', HostConfig: { NetworkMode } } })
  await create('back')
  await create('swarmctl-1')
  t.strictSame(
    agent.wishes.map(({ network }) => network),
    ['back'],
  )
  agent.refusal = notFound('network typo not found')
  await create('typo')
  t.equal(sent(node, '/containers/create').HostConfig.NetworkMode, 'typo', 'the Engine says no')
  node.engine.answers.set('POST /networks/swarmctl-1/disconnect', { status: 200, body: '' })
  const body = { Container: 'alone' }
  t.equal((await node.call('POST', '/networks/back/disconnect', { body })).status, 200)
})

t.test('on a node-local network addresses and names are the Engine’s', async (t) => {
  const { node, agent } = await start(t)
  const network = { Name: 'mv', Driver: 'macvlan', Scope: 'swarm', Attachable: true }
  await node.call('POST', '/networks/create', { body: network })
  agent.nodeLocal.add('mv')
  const wanted = { IPAMConfig: { IPv4Address: '192.168.50.9' }, Aliases: ['me'] }
  const EndpointsConfig = { mv: wanted, back: {} }
  await node.call('POST', '/containers/create?name=alone', {
    body: { Image: 'a', HostConfig: { NetworkMode: 'mv' }, NetworkingConfig: { EndpointsConfig } },
  })
  const body = sent(node, /^\/containers\/create/)
  t.match(body.HostConfig, { NetworkMode: 'swarmctl-local-m1', Dns: ['10.0.1.1'] })
  const place = body.NetworkingConfig.EndpointsConfig['swarmctl-local-m1']
  t.match(place, wanted)
  t.match(JSON.parse(place.DriverOpts[ATTACHMENT_OPTION]), { networkName: 'mv', aliases: ['me'] })
  const connected = { Container: 'alone', EndpointConfig: { Aliases: ['you'] } }
  node.engine.answers.set('POST /networks/swarmctl-local-m1/connect', { status: 200, body: {} })
  t.equal((await node.call('POST', '/networks/mv/connect', { body: connected })).status, 200)
  t.match(sent(node, '/networks/swarmctl-local-m1/connect'), connected)
})

t.test('containers are shown on the networks that their users named', async (t) => {
  const { node } = await start(t)
  const record = {
    ...{ networkId: 'n1', networkName: 'back', isFixed: false, aliases: ['me'] },
    resolver: { nameservers: ['1.1.1.1'], options: [], search: ['x'] },
  }
  const endpoint = {
    ...{ NetworkID: 'c'.repeat(64), Aliases: ['ffff'], IPAddress: '10.0.1.7' },
    DriverOpts: { a: 'b', [ATTACHMENT_OPTION]: JSON.stringify(record) },
  }
  const Networks = { 'swarmctl-1': endpoint, bridge: { NetworkID: 'b'.repeat(64) } }
  const container = {
    Id: CONTAINER,
    HostConfig: { NetworkMode: 'swarmctl-1', Dns: ['10.0.1.1'], DnsSearch: [], Memory: 7 },
    NetworkSettings: { Networks, Ports: {} },
  }
  const { answers } = node.engine
  answers.set('GET /containers/alone/json', { status: 200, body: container })
  t.strictSame((await node.call('GET', '/v1.41/containers/alone/json')).body, {
    Id: CONTAINER,
    HostConfig: {
      ...{ NetworkMode: 'back', Dns: ['1.1.1.1'], DnsOptions: [], DnsSearch: ['x'], Memory: 7 },
    },
    NetworkSettings: {
      Networks: {
        back: {
          ...{ NetworkID: 'n1', Aliases: ['me', 'ffff'], IPAddress: '10.0.1.7' },
          DriverOpts: { a: 'b' },
        },
        bridge: { NetworkID: 'b'.repeat(64) },
      },
      Ports: {},
    },
  })
  const task = { Id: 'e', NetworkSettings: { Networks: { 'swarmctl-1': { NetworkID: 'c' } } } }
  const plain = { Id: 'd', NetworkSettings: { Networks: { bridge: { NetworkID: 'b' } } } }
  answers.set('GET /containers/json', { status: 200, body: [task, plain] })
  const filters = encodeURIComponent(JSON.stringify({ network: ['back', 'bridge'], status: ['x'] }))
  t.strictSame((await node.call('GET', `/containers/json?all=1&filters=${filters}`)).body, [
    { Id: 'e', NetworkSettings: { Networks: { back: { NetworkID: 'n1' } } } },
    plain,
  ])
  const asked = new URLSearchParams(
    node.engine.requests('GET', /^\/containers\/json/)[0]!.url.split('?')[1],
  )
  t.equal(asked.get('all'), '1')
  t.strictSame(JSON.parse(asked.get('filters')!), {
    status: ['x'],
    network: { 'swarmctl-1': true, bridge: true },
  })
  node.swarm.networkAttachments = undefined
  const raw = (await node.call('GET', '/containers/alone/json')).body
  t.strictSame(raw, container, 'a node without a swarm passes it on')
})
