import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import type { Network } from '../../src/api/network.ts'
import { nodeLocalName } from '../../src/api/node-local-network.ts'
import type { Task } from '../../src/api/task.ts'
import type { EngineRequest } from '../../src/worker/docker/engine-client.ts'
import { EngineLocalNetworks } from '../../src/worker/docker/engine-local-networks.ts'
import {
  LOCAL_NETWORK_REMOVE_MAX_MS,
  LOCAL_NETWORK_REMOVE_MS,
  LOCAL_NETWORK_START_MS,
} from '../../src/worker/limits.ts'
import { NodeNetworks } from '../../src/worker/node-networks.ts'
import type { OverlayPort } from '../../src/worker/overlay-port.ts'
import { sampleNetwork, sampleTask } from '../support/objects.ts'
import { VirtualClock } from '../support/orchestration/virtual-clock.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const nodeLocal = (id: string, change: Partial<Network['Spec']> = {}): Network => {
  const made = sampleNetwork(id, `name-${id}`)
  const DriverConfiguration = { Name: 'macvlan', Options: {} }
  return { ...made, Spec: { ...made.Spec, DriverConfiguration, ...change } }
}

const predefined = (): Network =>
  nodeLocal('host', { Labels: { 'com.docker.swarm.predefined': 'true' } })

const overlay = sampleNetwork('o1', 'back')

/** On an overlay between two node-local networks, the second with an address that was asked for. */
const taskOn = (id: string, ...networks: Network[]): Task =>
  sampleTask(id, 's1', {
    Spec: {
      ContainerSpec: { Image: 'i', DNSConfig: { Nameservers: ['9.9.9.9'] } },
      Networks: [{ Target: 'm2', Swarmctl: { IPv4Address: '192.168.50.9' } }],
    },
    NetworksAttachments: networks.map((Network) => ({
      Network,
      Addresses: Network === overlay ? ['10.0.1.7/16'] : [],
    })),
  })

class Bench {
  readonly clock = new VirtualClock()
  readonly calls: string[] = []
  /** Ids of the networks that the Engine has. */
  readonly made = new Set<string>()
  /** Those that containers are on. */
  readonly busy = new Set<string>()
  failure: SwarmctlError | undefined
  readonly networks = new NodeNetworks({
    overlay: {
      setSelf: async () => void this.calls.push('self'),
      attach: async ({ ID }: Task) => {
        this.calls.push(`attach ${ID}`)
        const place = { dockerNetwork: 'swarmctl-5', ipv4Address: '10.0.1.7', aliases: [] }
        return { networks: [place], dns: ['10.0.1.1'], dnsSearch: [], dnsOptions: [] }
      },
      detach: async (taskId: string) => void this.calls.push(`detach ${taskId}`),
      close: async () => void this.calls.push('close'),
      destroy: async () => void this.calls.push('destroy'),
    } as Partial<OverlayPort> as OverlayPort,
    local: {
      ensure: async ({ ID }) => {
        if (this.failure) throw this.failure
        this.made.add(ID)
      },
      removeUnused: async (isUsed) => {
        if (this.failure) throw this.failure
        const unused = [...this.made].filter((id) => !isUsed(id))
        for (const id of unused) if (!this.busy.has(id)) this.made.delete(id)
        return unused.every((id) => !this.busy.has(id))
      },
    },
    clock: this.clock,
    log: new CollectedLog(),
  })

  get here(): string {
    return [...this.made].sort().join(' ')
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
  }
}

t.test('a task is on all of its networks, in their order', async (t) => {
  const bench = new Bench()
  const task = taskOn('t1', nodeLocal('m1'), overlay, nodeLocal('m2'), predefined())
  const wiring = await bench.networks.attach(task)
  t.strictSame(wiring, {
    networks: [
      { dockerNetwork: nodeLocalName('m1'), ipv4Address: '', aliases: [] },
      { dockerNetwork: 'swarmctl-5', ipv4Address: '10.0.1.7', aliases: [] },
      { dockerNetwork: nodeLocalName('m2'), ipv4Address: '192.168.50.9', aliases: [] },
    ],
    ...{ dns: ['10.0.1.1'], dnsSearch: [], dnsOptions: [] },
  })
  t.equal(bench.here, 'm1 m2')
  const alone = await bench.networks.attach(taskOn('t2', nodeLocal('m1')))
  t.match(alone, { networks: [{ dockerNetwork: nodeLocalName('m1') }], dns: ['9.9.9.9'] })
  t.strictSame(bench.calls, ['attach t1'], 'the overlay has nothing to do for the second')
  const task3 = taskOn('t3', nodeLocal('m1'))
  const DriverOpts = { 'com.docker.network.x': '1', 'swarmctl.attachment': '{}' }
  const { networks } = await bench.networks.attach({
    ...task3,
    Spec: { ...task3.Spec, Networks: [{ Target: 'm1', DriverOpts }] },
  })
  t.strictSame(
    networks[0]?.driverOpts,
    { 'com.docker.network.x': '1' },
    'what its driver is told, as the service says it',
  )
})

t.test('a network goes with the last that is on it', async (t) => {
  const bench = new Bench()
  await bench.networks.attach(taskOn('t1', nodeLocal('m1'), nodeLocal('m2')))
  await bench.networks.attach(taskOn('t2', nodeLocal('m2')))
  await bench.networks.detach('t1')
  t.equal(bench.here, 'm2')
  bench.busy.add('m2')
  await bench.networks.detach('t2')
  t.equal(bench.here, 'm2', 'the Engine has yet to take the container off')
  bench.busy.clear()
  await bench.pass(LOCAL_NETWORK_REMOVE_MS)
  t.equal(bench.here, '')
  await bench.networks.attach(taskOn('t3', nodeLocal('m3')))
  bench.failure = new SwarmctlError('ENGINE_UNAVAILABLE', 'gone')
  await bench.networks.detach('t3')
  await bench.pass(10 * LOCAL_NETWORK_REMOVE_MAX_MS)
  bench.failure = undefined
  await bench.pass(LOCAL_NETWORK_REMOVE_MS)
  t.equal(bench.here, 'm3', 'nobody asks all the time')
  await bench.pass(LOCAL_NETWORK_REMOVE_MAX_MS)
  t.equal(bench.here, '')
  await bench.networks.attach(taskOn('t4', nodeLocal('m4')))
  bench.busy.add('m4')
  await bench.networks.detach('t4')
  bench.busy.clear()
  await bench.pass(LOCAL_NETWORK_REMOVE_MS)
  t.equal(bench.here, '', 'the next one is soon looked at again')
  t.match(bench.calls, ['detach t1', 'detach t2', 'detach t3', 'detach t4'])
})

t.test('what an earlier run left goes, but not what tasks still are on', async (t) => {
  const bench = new Bench()
  for (const id of ['left', 'm1']) bench.made.add(id)
  await bench.networks.setSelf({ nodeId: 'n1', index: 1 })
  await bench.networks.attach(taskOn('t1', nodeLocal('m1')))
  await bench.networks.setSelf({ nodeId: 'n1', index: 1 })
  t.equal(bench.here, 'left m1')
  await bench.pass(LOCAL_NETWORK_START_MS)
  t.equal(bench.here, 'm1')
  await bench.networks.destroy()
  t.equal(bench.here, '', 'the node leaves')
  t.strictSame(bench.calls, ['self', 'self', 'destroy'])
  const other = new Bench()
  other.made.add('left')
  await other.networks.setSelf({ nodeId: 'n1', index: 1 })
  await other.networks.close()
  await other.pass(LOCAL_NETWORK_START_MS)
  t.equal(other.here, 'left', 'the daemon ends: nothing changes')
})

t.test('one that can’t be made on this node is the task’s end here', async (t) => {
  const bench = new Bench()
  bench.failure = new SwarmctlError('FAILED_PRECONDITION', 'no')
  await t.rejects(bench.networks.attach(taskOn('t1', nodeLocal('m1'))), { message: 'no' })
  bench.failure = undefined
  await bench.networks.attach(taskOn('t2', nodeLocal('m1')))
  t.equal(bench.here, 'm1', 'the next is none the worse')
})

/** An Engine that answers by method and path; what it has no answer for it does not find. */
const engineWith = (answers: Record<string, unknown>) => {
  const requests: EngineRequest[] = []
  const engine = {
    request: async (request: EngineRequest) => {
      requests.push(request)
      const answer = answers[`${request.method} ${request.path}`]
      if (answer instanceof Error) throw answer
      if (answer === undefined) throw new SwarmctlError('NOT_FOUND', 'not found')
      return answer
    },
  }
  return { requests, networks: new EngineLocalNetworks({ engine: engine as never }) }
}

t.test('the Engine’s network has the settings of the node', async (t) => {
  const from = nodeLocal('m1', { ConfigFrom: { Network: 'conf' }, Attachable: true })
  const IPAM = { Driver: 'default', Config: [{ Subnet: '192.168.50.0/24' }] }
  const settings = { Options: { parent: 'eth0' }, Labels: { rack: '7' }, EnableIPv6: true, IPAM }
  const { networks, requests } = engineWith({
    'GET /networks/conf': { Name: 'conf', ConfigOnly: true, EnableIPv4: false, ...settings },
    'POST /networks/create': { Id: 'e1' },
  })
  await networks.ensure(from)
  t.strictSame(requests.at(-1)?.body, {
    ...{ Name: 'swarmctl-local-m1', CheckDuplicate: true, Driver: 'macvlan', Internal: false },
    ...{ Attachable: true, EnableIPv6: true, EnableIPv4: false, IPAM },
    Options: { parent: 'eth0' },
    Labels: {
      ...{ rack: '7', 'swarmctl.network': 'm1', 'com.docker.swarm.network.name': 'name-m1' },
      'swarmctl.config-from': 'conf',
    },
  })
  const plain = nodeLocal('m2', {
    ...{ Internal: true, IPv6Enabled: true, Labels: { a: 'b' } },
    DriverConfiguration: { Name: 'bridge', Options: { x: 'y' } },
    IPAMOptions: { Configs: [{ Subnet: '10.9.0.0/16' }] },
  })
  await networks.ensure(plain)
  t.strictSame(requests.at(-1)?.body, {
    ...{ Name: 'swarmctl-local-m2', CheckDuplicate: true, Driver: 'bridge', Internal: true },
    ...{ Attachable: false, EnableIPv6: true, Options: {} },
    Labels: { a: 'b', 'swarmctl.network': 'm2', 'com.docker.swarm.network.name': 'name-m2' },
  })
  const there = engineWith({ 'GET /networks/swarmctl-local-m1': { Name: 'swarmctl-local-m1' } })
  await there.networks.ensure(from)
  t.equal(there.requests.length, 1, 'made once')
})

t.test('why the Engine’s network can’t be made', async (t) => {
  const from = nodeLocal('m1', { ConfigFrom: { Network: 'conf' } })
  const ensure = (answers: Record<string, unknown>) => engineWith(answers).networks.ensure(from)
  const absent = {
    code: 'FAILED_PRECONDITION',
    message: 'configuration network "conf" does not exist',
  }
  await t.rejects(ensure({}), absent)
  await t.rejects(ensure({ 'GET /networks/conf': { Name: 'conf', ConfigOnly: false } }), absent)
  await t.rejects(ensure({ 'GET /networks/conf': { Name: 'confer', ConfigOnly: true } }), absent)
  const making = (code: 'INTERNAL' | 'ALREADY_EXISTS' | 'ENGINE_UNAVAILABLE') =>
    ensure({
      'GET /networks/conf': { Name: 'conf', ConfigOnly: true },
      'POST /networks/create': new SwarmctlError(code, 'invalid subinterface'),
    })
  const refused = { code: 'FAILED_PRECONDITION', message: 'invalid subinterface' }
  await t.rejects(making('INTERNAL'), refused)
  await t.rejects(making('ENGINE_UNAVAILABLE'), { code: 'ENGINE_UNAVAILABLE' })
  await making('ALREADY_EXISTS')
})

t.test('removal: the unused, neither bridges of overlays nor what is in use', async (t) => {
  const found = ['swarmctl-5', 'swarmctl-local-m1', 'swarmctl-local-m2', 'swarmctl-local-m3']
  const answers: Record<string, unknown> = {
    'GET /networks': found.map((Name) => ({
      ...{ Name, Labels: { 'swarmctl.network': Name.replace('swarmctl-local-', '') } },
    })),
    'GET /containers/json': [{ Labels: { 'com.docker.swarm.node.id': 'n1' } }],
    'DELETE /networks/swarmctl-local-m1': {},
    'DELETE /networks/swarmctl-local-m3': new SwarmctlError('INTERNAL', 'has active endpoints'),
  }
  const { networks, requests } = engineWith(answers)
  t.equal(await networks.removeUnused((id) => id === 'm2'), false)
  const removed = () => requests.flatMap(({ method, path }) => (method === 'DELETE' ? path : []))
  t.strictSame(removed(), ['/networks/swarmctl-local-m1', '/networks/swarmctl-local-m3'])
  delete answers['DELETE /networks/swarmctl-local-m3']
  t.equal(await networks.removeUnused((id) => id === 'm2'), true, 'somebody else removed it')
  requests.splice(0)
  answers['GET /containers/json'] = [{ Labels: null }]
  t.equal(await networks.removeUnused((id) => id === 'm2'), false)
  t.strictSame(removed(), [], 'a stopped container of a user’s may be started again')
  answers['GET /containers/json'] = []
  answers['DELETE /networks/swarmctl-local-m1'] = new SwarmctlError('ENGINE_UNAVAILABLE', 'gone')
  await t.rejects(
    networks.removeUnused(() => false),
    { code: 'ENGINE_UNAVAILABLE' },
  )
})
