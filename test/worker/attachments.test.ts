import t from 'tap'
import { SwarmctlError, unavailable } from '../../src/api/errors.ts'
import type { AttachRequest } from '../../src/api/network-attachment.ts'
import type { Task, TaskStatus } from '../../src/api/task.ts'
import { Attachments } from '../../src/worker/attachments.ts'
import type { AttachedContainer } from '../../src/worker/container-networks.ts'
import { ATTACH_RETRY_MS, ATTACH_WAIT_MAX_MS } from '../../src/worker/limits.ts'
import type { TaskWiring } from '../../src/worker/overlay-port.ts'
import { sampleNetwork, sampleTask } from '../support/objects.ts'
import { settle, VirtualClock } from '../support/orchestration/virtual-clock.ts'
import { MemoryContainerNetworks } from '../support/worker/memory-container-networks.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const LOCAL = 'swarmctl-local-net1'

/** A node's attachments, an Engine in memory, and a leader that hands out addresses in order. */
class Bench {
  readonly clock = new VirtualClock()
  readonly log = new CollectedLog()
  readonly containers = new MemoryContainerNetworks()
  readonly asked: AttachRequest[] = []
  readonly said: string[] = []
  readonly overlay: string[] = []
  /** The attachments that the leader knows. */
  readonly tasks = new Map<string, Task>()
  /** Addresses that others have. */
  readonly taken = new Set<string>()
  failure: SwarmctlError | undefined
  /** `unknown`: the leader does what it is asked, and its answer is lost. */
  outcome: 'known' | 'unknown' = 'known'
  /** Why the network's bridge can't be had. */
  wireFailure: SwarmctlError | undefined
  /** The network's addresses are the Engine's. */
  isNodeLocal = false
  attachments = this.run()
  #count = 0

  /** Another run of the daemon. */
  run(): Attachments {
    const attachments = new Attachments({
      containers: this.containers,
      overlay: {
        attach: async (task) => this.wire(task),
        answerFor: (taskId, pid) => this.overlay.push(`answer for ${taskId}: ${pid}`),
        detach: async (taskId) => void this.overlay.push(`detach ${taskId}`),
      },
      attach: async (request) => this.attach(request),
      clock: this.clock,
      log: this.log,
      newId: () => `new${++this.#count}`,
    })
    attachments.reportTo((taskId, status) => this.hear(taskId, status))
    this.attachments = attachments
    return attachments
  }

  hear(taskId: string, status: TaskStatus): void {
    this.said.push(`${taskId} ${status.State}`)
    if (status.State === 'complete') this.tasks.delete(taskId)
  }

  wire(task: Task): TaskWiring {
    if (this.wireFailure) throw this.wireFailure
    this.overlay.push(`attach ${task.ID}`)
    if (this.isNodeLocal) {
      const place = { dockerNetwork: LOCAL, ipv4Address: '', aliases: [] }
      return { networks: [place], dns: [], dnsSearch: [], dnsOptions: [] }
    }
    const ipv4Address = task.NetworksAttachments![0]!.Addresses[0]!.replace(/\/.*/, '')
    const dns = ['10.5.1.1', ...(task.Spec.ContainerSpec?.DNSConfig?.Nameservers ?? [])]
    const networks = [{ dockerNetwork: 'swarmctl-5', ipv4Address, aliases: [] }]
    return { networks, dns, dnsSearch: [], dnsOptions: [] }
  }

  attach(request: AttachRequest): Task {
    this.asked.push(request)
    if (this.failure) throw this.failure
    const { address, aliases, containerId, name, taskId } = request
    const present = [...this.tasks.values()].find(
      ({ ID, Spec }) => ID === taskId || Spec.NetworkAttachmentSpec?.ContainerID === containerId,
    )
    const isTaken = this.taken.has(address)
    if (isTaken && request.isFixed)
      throw new SwarmctlError('FAILED_PRECONDITION', `address ${address} is in use`)
    const free = address !== '' && !isTaken ? address : `10.5.1.${this.tasks.size + 2}`
    const id = present?.ID ?? `t${this.asked.length}`
    const task = sampleTask(id, '', {
      NodeID: 'n1',
      Status: { Timestamp: '', State: 'assigned', Message: '' },
      Spec: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: containerId } },
      NetworksAttachments: [
        {
          Network: sampleNetwork('net1', 'back'),
          Addresses: this.isNodeLocal
            ? []
            : (present?.NetworksAttachments?.[0]?.Addresses ?? [`${free}/16`]),
          Aliases: aliases,
        },
      ],
    })
    const named = { ...task, Swarmctl: { ...task.Swarmctl, ContainerName: name } }
    this.tasks.set(id, named)
    if (this.outcome === 'unknown') throw new SwarmctlError('TIMEOUT', 'the leader has changed')
    return named
  }

  /** What is held is shown by what is given back when the Engine has nothing any more. */
  container(id: string, change: Partial<AttachedContainer> = {}, address = '10.5.1.9'): void {
    const record = {
      ...{ networkId: 'net1', networkName: 'back', aliases: ['me'], isFixed: false },
    }
    const endpoints = [{ dockerNetwork: 'swarmctl-5', address, record }]
    this.containers.put({ id, name: `name-${id}`, phase: 'up', pid: 77, endpoints, ...change })
  }
}

t.test('a container is created, runs, ends and is started again', async (t) => {
  const bench = new Bench()
  const { attachments } = bench
  const resolver = { nameservers: ['1.1.1.1'], options: [], search: [] }
  const granted = await attachments.claim({
    ...{ network: 'back', address: '', aliases: ['me'], resolver },
  })
  t.match(granted, {
    endpoint: {
      ...{ dockerNetwork: 'swarmctl-5', address: '10.5.1.2' },
      record: { networkId: 'net1', networkName: 'back', aliases: ['me'], isFixed: false, resolver },
    },
    dns: ['10.5.1.1', '1.1.1.1'],
  })
  await attachments.takeStock()
  await settle()
  t.strictSame(bench.said, [], 'its container is just being made: nothing is given back')
  const { record } = granted.endpoint
  const endpoints = [{ ...granted.endpoint, record }]
  bench.container('c1', { phase: 'created', endpoints })
  await attachments.bind(granted, { id: 'c1', name: 'name-c1' })
  t.match(bench.asked.at(-1), { taskId: 't1', containerId: 'c1', aliases: ['me', 'c1'] })
  await attachments.takeStock()
  await settle()
  t.strictSame(bench.said, [], 'not yet started')
  bench.container('c1', { endpoints })
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.strictSame(bench.said, ['t1 running'])
  t.equal(bench.asked.length, 2, 'nobody was asked for what is known')
  t.strictSame(bench.overlay, ['attach t1'], 'it was created with the overlay’s servers')

  bench.container('c1', { phase: 'ended', endpoints })
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.strictSame(bench.said.splice(0), ['t1 running', 't1 complete'])
  t.equal(bench.overlay.at(-1), 'detach t1')

  await attachments.prepareStart('name-c1')
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.strictSame(bench.said, [], 'late news of its end: it is about to start')
  const again = { containerId: 'c1', address: '10.5.1.2', isFixed: false, isRunning: false }
  t.match(bench.asked.at(-1), again)
  t.strictSame(bench.containers.calls, [], 'it has the same address again')
  bench.container('c1', { endpoints })
  await attachments.refresh('c1')
  t.strictSame(bench.said, ['t3 running'])
  bench.containers.containers.clear()
  attachments.onEvent({ kind: 'disconnected', containerId: 'c1' })
  await settle()
  t.strictSame(bench.said, ['t3 running', 't3 complete'])
})

t.test('a container is connected while it is looked at', async (t) => {
  const bench = new Bench()
  const { attachments } = bench
  bench.container('c1', { endpoints: [] })
  const container = { id: 'c1', name: 'name-c1' }
  const wish = { container, network: 'back', address: '10.5.1.7', aliases: ['me'] }
  const granted = await attachments.claim(wish)
  const asked = { containerId: 'c1', name: 'name-c1', isFixed: true, isRunning: false }
  t.match(bench.asked, [asked], 'it runs, but not on that network')
  attachments.assign([...bench.tasks.values()][0]!)
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await attachments.takeStock()
  await settle()
  t.strictSame(bench.said, [], 'it has no place there yet')
  bench.container('c1', { endpoints: [granted.endpoint] })
  await attachments.refresh('c1')
  t.strictSame(bench.said, ['t1 running'])
  await attachments.claim({ ...wish, address: '' })
  await attachments.refresh('c1')
  t.strictSame(bench.said, ['t1 running'], 'again: the Engine refuses, and nothing is lost')
  const other = { container: { id: 'c2', name: 'name-c2' }, network: 'back', address: '' }
  await attachments.claim({ ...other, aliases: [] })
  await attachments.refresh('c2')
  t.equal(bench.said.at(-1), 't3 complete', 'the Engine refused')
})

t.test('two requests for one container at a time: the end of one is not the other’s', async (t) => {
  const bench = new Bench()
  const { attachments } = bench
  bench.container('c1', { endpoints: [] })
  const container = { id: 'c1', name: 'name-c1' }
  const wish = { container, network: 'back', address: '', aliases: ['me'] }
  const granted = await attachments.claim(wish)
  await attachments.claim(wish)
  await attachments.refresh('c1')
  attachments.hold('c1')
  await attachments.refresh('c1')
  t.strictSame(bench.said, [], 'the first request goes on')
  bench.container('c1', { endpoints: [granted.endpoint] })
  await attachments.refresh('c1')
  t.strictSame(bench.said, ['t1 running'])
  bench.failure = new SwarmctlError('PERMISSION_DENIED', 'no')
  await t.rejects(attachments.claim(wish))
  bench.container('c1', { phase: 'ended' })
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.equal(bench.said.at(-1), 't1 complete', 'nothing goes on any more')
})

t.test('on a node-local network any address will do', async (t) => {
  const bench = new Bench()
  bench.isNodeLocal = true
  const granted = await bench.attachments.claim({ network: 'back', address: '', aliases: ['me'] })
  t.match(granted, { endpoint: { dockerNetwork: LOCAL, address: '' }, dns: [] })
  const { record } = granted.endpoint
  const endpoints = [{ dockerNetwork: LOCAL, address: '192.168.50.2', record }]
  bench.container('c1', { endpoints })
  await bench.attachments.refresh('c1')
  await bench.attachments.refresh('c1')
  t.equal(bench.said.at(-1), 't2 running')
  t.equal(bench.asked.length, 2, 'what is held is not asked for again')
  bench.container('c1', { phase: 'ended', endpoints })
  await bench.attachments.refresh('c1')
  t.equal(bench.said.at(-1), 't2 complete')
  await bench.attachments.prepareStart('c1')
  t.strictSame(bench.containers.calls, [], 'it keeps what the Engine gave it')
  bench.containers.renewed.add(LOCAL)
  await bench.attachments.prepareStart('c1')
  t.strictSame(bench.containers.calls, [`disconnect c1 ${LOCAL}`, `connect c1 ${LOCAL} `])
})

t.test('an address that somebody else has by now', async (t) => {
  const bench = new Bench()
  bench.taken.add('10.5.1.9')
  bench.container('c1', { phase: 'ended' })
  await bench.attachments.prepareStart('c1')
  const another = ['disconnect c1 swarmctl-5', 'connect c1 swarmctl-5 10.5.1.2']
  t.strictSame(bench.containers.calls.splice(0), another, 'before its start')
  bench.container('c2')
  await bench.attachments.refresh('c2')
  t.strictSame(
    bench.containers.calls.splice(0),
    ['disconnect c2 swarmctl-5', 'connect c2 swarmctl-5 10.5.1.3'],
    'while it runs: the Engine started it by itself',
  )
  t.strictSame(bench.said, ['t2 running'])
  t.equal(bench.overlay.at(-1), 'answer for t2: 77', 'connected: it asks others')
  const fixed = {
    ...{ networkId: 'net1', networkName: 'back', aliases: [], isFixed: true },
  }
  const endpoints = [{ dockerNetwork: 'swarmctl-5', address: '10.5.1.9', record: fixed }]
  bench.container('c3', { phase: 'ended', endpoints })
  await t.rejects(bench.attachments.prepareStart('c3'), { message: 'address 10.5.1.9 is in use' })
  bench.container('c3', { endpoints })
  await bench.attachments.refresh('c3')
  t.strictSame(bench.containers.calls, ['disconnect c3 swarmctl-5'], 'it may not go on with it')
})

t.test('a bridge that was made anew since the container was connected', async (t) => {
  const bench = new Bench()
  bench.container('c1', { phase: 'ended' })
  bench.containers.renewed.add('swarmctl-5')
  await bench.attachments.prepareStart('c1')
  const again = ['disconnect c1 swarmctl-5', 'connect c1 swarmctl-5 10.5.1.9']
  t.strictSame(bench.containers.calls, again)
  await bench.attachments.prepareStart('other')
})

t.test('without a manager', async (t) => {
  const bench = new Bench()
  bench.failure = unavailable('no manager is in reach')
  const claim = bench.attachments.claim({ network: 'back', address: '', aliases: [] })
  const refused = t.rejects(claim, { code: 'UNAVAILABLE' })
  await bench.clock.advance(10_000)
  await refused
  t.ok(bench.asked.length > 2, 'it tried for a while')
  bench.container('c1')
  await bench.attachments.takeStock()
  await bench.clock.advance(10_000)
  t.strictSame(bench.said, [])
  bench.failure = undefined
  await bench.clock.advance(1000)
  t.strictSame(bench.said.length, 1, 'a running container is attached when one is back')
  bench.attachments.stop()
})

t.test('a leader changes while it is asked: nobody knows what became of the request', async (t) => {
  const bench = new Bench()
  bench.outcome = 'unknown'
  bench.container('c1')
  bench.attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.strictSame(bench.said, [])
  const claim = bench.attachments.claim({ network: 'back', address: '', aliases: [] })
  await bench.clock.advance(ATTACH_RETRY_MS)
  t.strictSame(bench.said, [])
  bench.outcome = 'known'
  await bench.clock.advance(ATTACH_RETRY_MS)
  t.strictSame(bench.said, ['t1 running'], 'asked for again, and found')
  t.equal((await claim).taskId, 't2', 'as what somebody waits for')
  t.equal(bench.tasks.size, 2, 'one each')
  bench.attachments.stop()
})

t.test('what a leader granted without saying so in time is given back', async (t) => {
  const bench = new Bench()
  bench.outcome = 'unknown'
  const claim = bench.attachments.claim({ network: 'back', address: '', aliases: [] })
  const refused = t.rejects(claim, { code: 'TIMEOUT' })
  await settle()
  bench.attachments.assign([...bench.tasks.values()][0]!)
  await bench.clock.advance(ATTACH_WAIT_MAX_MS - ATTACH_RETRY_MS)
  t.strictSame(bench.said, [], 'it is still claimed')
  await bench.clock.advance(2 * ATTACH_RETRY_MS)
  await refused
  t.strictSame(bench.said, ['t1 complete'])
  bench.attachments.stop()
})

t.test('what was under way when its run ended is not tried again', async (t) => {
  const bench = new Bench()
  const { attachments } = bench
  const attach = bench.attach.bind(bench)
  let fail = (_error: Error): void => {}
  bench.attach = (request) => {
    bench.asked.push(request)
    return new Promise<never>((_, reject) => {
      fail = reject
    }) as never
  }
  bench.container('c1')
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  attachments.stop()
  fail(unavailable('no leader'))
  await settle()
  bench.attach = attach
  attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await bench.clock.advance(ATTACH_WAIT_MAX_MS)
  t.equal(bench.asked.length, 1, 'the leader is not asked')
  t.strictSame(bench.overlay, [], 'and nothing is made on the machine')
})

t.test(
  'what begins while the Engine is asked what a container is on is not given back',
  async (t) => {
    const bench = new Bench()
    const { attachments, containers } = bench
    containers.put({ id: 'c1', name: 'c1', phase: 'up', pid: 77, endpoints: [] })
    const inspect = containers.inspect.bind(containers)
    let answer = (): void => {}
    containers.inspect = async (id) => {
      const found = await inspect(id)
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return found
    }
    attachments.onEvent({ kind: 'changed', containerId: 'c1' })
    await settle()
    const container = { id: 'c1', name: 'c1' }
    await attachments.claim({ network: 'back', address: '', aliases: [], container })
    answer()
    await settle()
    t.strictSame(bench.said, [])
    attachments.stop()
  },
)

t.test('one request waits no longer than it says, whatever it waits for', async (t) => {
  const bench = new Bench()
  const [noLeader, noTable] = [unavailable('no leader'), unavailable('no table')]
  for (const request of ['claim', 'start'] as const) {
    bench.failure = noLeader
    bench.wireFailure = undefined
    bench.container('c1', { phase: 'created' })
    const asked =
      request === 'claim'
        ? bench.attachments.claim({ network: 'back', address: '', aliases: [] })
        : bench.attachments.prepareStart('c1')
    let refusal: unknown
    asked.catch((error: Error) => {
      refusal = error.message
    })
    await bench.clock.advance(ATTACH_WAIT_MAX_MS - 1000)
    bench.failure = undefined
    bench.wireFailure = noTable
    await bench.clock.advance(800)
    t.equal(refusal, undefined, `${request}: there is time left`)
    await bench.clock.advance(400)
    t.equal(refusal, 'Could not attach to network back: no table', request)
  }
  bench.attachments.stop()
})

t.test('after a restart of the daemon', async (t) => {
  const bench = new Bench()
  bench.container('c1')
  await bench.attachments.refresh('c1')
  bench.container('c2')
  await bench.attachments.refresh('c2')
  const left = await bench.attachments.claim({ network: 'back', address: '', aliases: [] })
  bench.said.splice(0)
  const tasks = [...bench.tasks.values()]
  bench.containers.containers.delete('c2')
  const again = bench.run()
  for (const task of tasks) again.assign(task)
  await again.takeStock()
  await settle()
  t.strictSame(
    bench.said.sort(),
    ['t1 running', 't2 complete', `${left.taskId} complete`].sort(),
    'what has no container is given back',
  )
  bench.said.splice(0)
  again.assign(tasks[1]!)
  t.strictSame(bench.said.splice(0), ['t2 complete'], 'said again to managers that did not hear it')
  bench.tasks.delete('t1')
  again.keepOnly(new Set(['t2']))
  await settle()
  t.match([...bench.tasks.values()], [{ Spec: { NetworkAttachmentSpec: { ContainerID: 'c1' } } }])
  t.not(bench.tasks.keys().next().value, 't1', 'c1 runs: an attachment is asked for anew')
  again.unassign('t2')
  again.assign(tasks[1]!)
  await settle()
  t.ok(bench.said.includes('t2 complete'))
})

t.test('a container that is renamed, and a node that leaves', async (t) => {
  const bench = new Bench()
  bench.container('c1')
  await bench.attachments.refresh('c1')
  bench.container('c1', { name: 'other' })
  bench.attachments.onEvent({ kind: 'changed', containerId: 'c1' })
  await settle()
  t.match(bench.asked.at(-1), { name: 'other', containerId: 'c1', aliases: ['me', 'c1'] })
  t.strictSame(bench.containers.calls, [])
  bench.container('c2')
  const disconnect = bench.containers.disconnect.bind(bench.containers)
  bench.containers.disconnect = async (id, network) => {
    if (id === 'c1') throw new SwarmctlError('INTERNAL', 'no such layer')
    await disconnect(id, network)
  }
  await t.rejects(bench.attachments.disconnectAll(), { message: 'no such layer' })
  t.strictSame(bench.containers.calls.splice(0), ['disconnect c2 swarmctl-5'], 'one that stays')
  bench.containers.disconnect = disconnect
  await bench.attachments.disconnectAll()
  t.strictSame(bench.containers.calls, ['disconnect c1 swarmctl-5'])
})
