import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { World } from '../../support/orchestration/world.ts'

// What a node's availability, labels and resources do to tasks.

const images = (tasks: Task[]): (string | undefined)[] =>
  tasks.map((task) => task.Spec.ContainerSpec?.Image)
const nodes = (tasks: Task[]): string[] => tasks.map((task) => task.NodeID).sort()

t.test('availability: drain moves tasks, pause keeps them', async (t) => {
  const world = await World.start(3)
  await world.createService('web', { replicas: 3 })
  await world.createService('each', { Mode: { Global: {} } })
  await world.clock.advance(1000)
  await world.setAvailability('n2', 'pause')
  await world.setAvailability('n1', 'drain')
  await world.clock.advance(2000)
  t.strictSame(nodes(world.running('web')), ['n2', 'n3', 'n3'])
  t.strictSame(nodes(world.running('each')), ['n2', 'n3'])
  await world.setAvailability('n1', 'active')
  await world.clock.advance(2000)
  t.strictSame(nodes(world.running('each')), ['n1', 'n2', 'n3'])
})

t.test('a start-first service moves off a drained node without a gap', async (t) => {
  const world = await World.start(2)
  await world.createService('web', { UpdateConfig: { Order: 'start-first' } })
  await world.clock.advance(1000)
  const [first] = nodes(world.running('web'))
  let runningMin = 1
  const unwatch = world.store.watch(() => {
    runningMin = Math.min(runningMin, world.running('web').length)
  })
  await world.setAvailability(first ?? '', 'drain')
  await world.clock.advance(5000)
  unwatch()
  t.equal(runningMin, 1)
  t.equal(world.running('web').length, 1)
  t.not(world.running('web')[0]?.NodeID, first)
})

t.test('a node that no longer meets the constraints loses the tasks', async (t) => {
  const world = await World.start(2)
  await world.changeNode('n1', (node) => ({ Spec: { ...node.Spec, Labels: { disk: 'ssd' } } }))
  await world.createService('db', {
    TaskTemplate: { Placement: { Constraints: ['node.labels.disk==ssd'] } },
  })
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('db')), ['n1'])
  await world.setAvailability('n1', 'pause')
  await world.changeNode('n1', (node) => ({ Spec: { ...node.Spec, Labels: {} } }))
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('db')), ['n1'], 'a paused node keeps what runs')
  await world.setAvailability('n1', 'active')
  await world.clock.advance(1000)
  const [waiting] = world.wanted('db')
  t.equal(
    waiting?.Status.Err,
    'no suitable node (2 nodes: constraint node.labels.disk==ssd not met)',
  )
  await world.changeNode('n2', (node) => ({ Spec: { ...node.Spec, Labels: { disk: 'ssd' } } }))
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('db')), ['n2'])
})

t.test(
  'generic resources are one task’s each until it ends, or their node has them no more',
  async (t) => {
    const world = await World.start(1)
    const gpus = (...names: string[]) =>
      world.changeNode('n1', ({ Description }) => ({
        Description: {
          ...Description,
          Resources: {
            ...Description.Resources,
            GenericResources: names.map((Value) => ({ NamedResourceSpec: { Kind: 'GPU', Value } })),
          },
        },
      }))
    const used = () =>
      world
        .running('train')
        .flatMap(({ GenericResources = [] }) => GenericResources)
        .map(({ NamedResourceSpec }) => NamedResourceSpec?.Value)
        .sort()
    await gpus('a', 'b')
    await world.createService('train', {
      Mode: { Replicated: { Replicas: 3 } },
      TaskTemplate: {
        Resources: {
          Reservations: { GenericResources: [{ DiscreteResourceSpec: { Kind: 'GPU', Value: 1 } }] },
        },
      },
    })
    await world.clock.advance(1000)
    t.strictSame(used(), ['a', 'b'])
    const waiting = world.wanted('train').find(({ NodeID }) => NodeID === '')
    t.equal(waiting?.Status.Err, 'no suitable node (node host-1: insufficient generic resources)')
    await gpus('b', 'c', 'd')
    await world.clock.advance(10_000)
    t.strictSame(used(), ['b', 'c', 'd'], 'who had the one that is gone has another')
    await world.updateService('train', { image: 'ok2' })
    await world.clock.advance(60_000)
    t.strictSame(used(), ['b', 'c', 'd'])
    t.strictSame(
      images(world.running('train')),
      ['ok2', 'ok2', 'ok2'],
      'each waited for its predecessor’s',
    )
  },
)

t.test('a constraint that the service no longer has moves no task', async (t) => {
  const world = await World.start(2)
  const setLabels = (Labels: Record<string, string>) =>
    world.changeNode('n1', (node) => ({ Spec: { ...node.Spec, Labels } }))
  await setLabels({ disk: 'ssd' })
  for (const [name, Mode] of [
    ['web', { Replicated: { Replicas: 1 } }],
    ['each', { Global: {} }],
  ] as const) {
    const constrained = { Placement: { Constraints: ['node.labels.disk==ssd'] } }
    await world.createService(name, { Mode, TaskTemplate: constrained, image: 'ok' })
    await world.clock.advance(1000)
    await world.updateService(name, { TaskTemplate: { Placement: {} } })
  }
  await world.clock.advance(10_000)
  const ids = () => [...world.running('web'), ...world.running('each')].map(({ ID }) => ID)
  const before = ids()
  t.equal(before.length, 3)
  await setLabels({})
  await world.clock.advance(10_000)
  t.strictSame(ids(), before)
})

t.test('a paused node of a global service is updated when it is active again', async (t) => {
  const world = await World.start(2)
  await world.createService('each', { Mode: { Global: {} } })
  await world.clock.advance(1000)
  await world.setAvailability('n2', 'pause')
  await world.updateService('each', { image: 'ok2' })
  await world.clock.advance(10_000)
  t.strictSame(images(world.running('each')).sort(), ['ok', 'ok2'])
  await world.setAvailability('n2', 'active')
  await world.clock.advance(10_000)
  t.strictSame(images(world.running('each')), ['ok2', 'ok2'])
  t.equal(world.service('each').UpdateStatus?.State, 'completed')
})

t.test('a global service leaves out nodes of platforms that its image is not for', async (t) => {
  const world = await World.start(3)
  await world.changeNode('n2', ({ Description }) => ({
    Description: { ...Description, Platform: { OS: 'linux', Architecture: 'aarch64' } },
  }))
  const platform = (...names: string[]) => ({
    Placement: { Platforms: names.map((Architecture) => ({ OS: 'linux', Architecture })) },
  })
  const Mode = { Global: {} }
  await world.createService('each', { Mode, TaskTemplate: platform('amd64') })
  await world.clock.advance(5000)
  t.strictSame(nodes(world.tasks('each')), ['n1', 'n3'])
  await world.updateService('each', { Mode, image: 'ok2', TaskTemplate: platform('amd64') })
  await world.clock.advance(60_000)
  t.strictSame(images(world.running('each')), ['ok2', 'ok2'])
  t.equal(world.service('each').UpdateStatus?.State, 'completed', 'nothing is waited for')
  await world.updateService('each', { Mode, TaskTemplate: platform('amd64', 'arm64') })
  await world.clock.advance(60_000)
  t.strictSame(nodes(world.running('each')), ['n1', 'n2', 'n3'])
  const ids = world.running('each').map(({ ID }) => ID)
  await world.updateService('each', { Mode, TaskTemplate: platform('amd64') })
  await world.clock.advance(60_000)
  t.strictSame(
    world.running('each').map(({ ID }) => ID),
    ids,
    'what runs goes on',
  )
  await world.updateService('each', { Mode, image: 'ok3', TaskTemplate: platform('amd64') })
  await world.clock.advance(60_000)
  t.strictSame(images(world.running('each')), ['ok3', 'ok3'])
  t.strictSame(nodes(world.running('each')), ['n1', 'n3'])
})

t.test('a global service that no node’s platform fits has tasks that say so', async (t) => {
  const world = await World.start(2)
  const Placement = { Platforms: [{ OS: 'linux', Architecture: 's390x' }] }
  await world.createService('each', { Mode: { Global: {} }, TaskTemplate: { Placement } })
  await world.clock.advance(5000)
  const waiting = world.tasks('each')
  t.equal(waiting.length, 2)
  for (const { Status } of waiting) t.match(Status, { State: 'pending' })
})

const shrink = (world: World, id: string, memoryGb: number, cpus = 4) =>
  world.changeNode(id, ({ Description }) => ({
    Description: {
      ...Description,
      Resources: { ...Description.Resources, MemoryBytes: memoryGb * 1e9, NanoCPUs: cpus * 1e9 },
    },
  }))

const reserving = (MemoryBytes: number, NanoCPUs = 0) => ({
  TaskTemplate: { Resources: { Reservations: { MemoryBytes, NanoCPUs } } },
})

t.test('a node that has less than its tasks reserve loses the newest of them', async (t) => {
  const world = await World.start(1)
  await shrink(world, 'n1', 8)
  for (const name of ['old', 'mid', 'new']) {
    await world.createService(name, reserving(2e9))
    await world.clock.advance(1000)
  }
  await world.createService('free')
  await world.clock.advance(1000)
  const running = () => ['old', 'mid', 'new', 'free'].filter((name) => world.running(name).length)
  t.strictSame(running(), ['old', 'mid', 'new', 'free'])
  await shrink(world, 'n1', 6)
  await world.clock.advance(10_000)
  t.strictSame(running(), ['old', 'mid', 'new', 'free'], 'all fit exactly')
  await shrink(world, 'n1', 5)
  await world.clock.advance(10_000)
  t.strictSame(running(), ['old', 'mid', 'free'])
  const [waiting] = world.wanted('new')
  t.equal(waiting?.Status.Err, 'no suitable node (node host-1: insufficient memory)')
  await shrink(world, 'n1', 8)
  await world.clock.advance(10_000)
  t.strictSame(running(), ['old', 'mid', 'new', 'free'])
})

t.test('tasks go to another node when their own has fewer CPUs, by a new leader too', async (t) => {
  const world = await World.start(2)
  await world.setAvailability('n2', 'drain')
  await world.createService('web', { replicas: 2, ...reserving(0, 2e9) })
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n1'])
  await world.setAvailability('n2', 'active')
  await world.stopLoops()
  await shrink(world, 'n1', 8, 3)
  world.startLoops()
  await world.clock.advance(10_000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n2'])
})

t.test('what a node has is not known while it or its Engine is away', async (t) => {
  const world = await World.start(1)
  await world.createService('web', { replicas: 2, ...reserving(2e9) })
  await world.clock.advance(1000)
  const setError = (EngineError: string) =>
    world.changeNode('n1', ({ Description }) => ({
      Description: { ...Description, Swarmctl: { ...Description.Swarmctl, EngineError } },
    }))
  const ids = () => world.wanted('web').map(({ ID }) => ID)
  const before = ids()
  await setError('does not answer')
  await shrink(world, 'n1', 2)
  await world.clock.advance(10_000)
  t.strictSame(ids(), before)
  await shrink(world, 'n1', 0)
  await setError('')
  await world.clock.advance(10_000)
  t.strictSame(ids(), before, 'an Engine that says 0 does not know')
  await world.setAvailability('n1', 'pause')
  await shrink(world, 'n1', 2)
  await world.clock.advance(10_000)
  t.strictSame(ids(), before, 'a paused node keeps what runs')
  await world.setAvailability('n1', 'active')
  await world.clock.advance(10_000)
  t.equal(world.running('web').length, 1)
})

t.test('a start-first task stays on a node with too little until its successor runs', async (t) => {
  const world = await World.start(1)
  await world.createService('web', {
    UpdateConfig: { Order: 'start-first' },
    ...reserving(2e9),
  })
  await world.clock.advance(1000)
  await shrink(world, 'n1', 1)
  await world.clock.advance(10_000)
  t.equal(world.running('web').length, 1)
  await world.addNode(2)
  await world.clock.advance(10_000)
  t.strictSame(nodes(world.running('web')), ['n2'])
})

t.test('a service with an address of its own moves off a node that is down', async (t) => {
  const world = await World.start(3)
  await world.store.update((tx) => {
    const ingress = tx.list('network').find(({ Spec }) => Spec.Ingress)
    if (ingress === undefined) throw new Error('there is no ingress network')
    const [config] = ingress.IPAMOptions.Configs
    tx.put('network', {
      ...ingress,
      ID: 'app',
      Spec: { ...ingress.Spec, Name: 'app', Ingress: false, Labels: {} },
      IPAMOptions: { ...ingress.IPAMOptions, Configs: [{ ...config, Subnet: '10.77.0.0/16' }] },
      Swarmctl: { Index: 9, Plan: 'blocks', Gateways: {} },
    })
  })
  const IPv4Address = '10.77.200.7'
  const Networks = [{ Target: 'app', Swarmctl: { IPv4Address } }]
  await world.createService('db', { replicas: 1, TaskTemplate: { Networks } })
  await world.createService('web', { replicas: 3 })
  await world.clock.advance(2000)
  const [first] = world.running('db')
  t.match(first?.NetworksAttachments, [{ Addresses: [`${IPv4Address}/16`] }])
  world.kill(first?.NodeID ?? '')
  await world.clock.advance(30_000)
  const [second, ...others] = world.running('db').filter(({ ID }) => ID !== first?.ID)
  t.match(second?.NetworksAttachments, [{ Addresses: [`${IPv4Address}/16`] }])
  t.not(second?.NodeID, first?.NodeID)
  t.strictSame(others, [])
  const states = (name: string) =>
    world
      .tasks(name)
      .filter(({ NodeID, DesiredState }) => NodeID === first?.NodeID && DesiredState === 'shutdown')
      .map(({ Status }) => Status.State)
  t.strictSame(states('db'), ['orphaned'])
  t.ok(
    states('web').every((state) => state === 'running'),
    'others wait for the node: nothing needs what they hold',
  )
  await world.revive(first?.NodeID ?? '')
  await world.clock.advance(5000)
  t.strictSame(states('db'), ['orphaned'], 'what the node says late changes nothing')
  t.equal(world.running('db').length, 1)
})
