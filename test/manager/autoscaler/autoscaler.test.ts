import t from 'tap'
import type { Autoscale } from '../../../src/api/autoscale.ts'
import type { Task } from '../../../src/api/task.ts'
import type { NodeUsage } from '../../../src/api/usage.ts'
import { type AskUsage, Autoscaler } from '../../../src/manager/autoscaler/autoscaler.ts'
import { sampleUsage } from '../../support/objects.ts'
import { quietLog, type SpecChange, World } from '../../support/orchestration/world.ts'

// The autoscaler with the other loops of a leader, in virtual time; tasks use what the test says.

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Stands for the agents: counters of CPU time that go up while a task runs. */
class Meters {
  readonly asked: (readonly [nodeId: string, tasks: readonly string[]])[] = []
  /** CPUs that each running task uses. */
  load: (task: Task, running: number) => number = () => 0
  /** Nodes that do not answer. */
  readonly silent = new Set<string>()
  readonly #world: World
  readonly #total = new Map<string, number>()
  #readAtMs = 0

  constructor(world: World) {
    this.#world = world
    const tick = (): void => {
      this.#advance()
      world.clock.schedule(SECOND, tick)
    }
    tick()
  }

  readonly ask: AskUsage = async (taskIds, onReport, signal) => {
    this.#advance()
    const silent: string[] = []
    for (const [nodeId, tasks] of taskIds) {
      this.asked.push([nodeId, tasks])
      if (this.silent.has(nodeId)) silent.push(nodeId)
      else onReport(this.#report(nodeId, tasks))
    }
    if (silent.length === 0 || signal.aborted) return
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  }

  #advance(): void {
    const nowMs = this.#world.clock.nowMs()
    const seconds = (nowMs - this.#readAtMs) / SECOND
    this.#readAtMs = nowMs
    for (const { ID } of this.#world.store.view().list('service')) {
      const running = this.#world.running(ID)
      for (const task of running) {
        const used = this.load(task, running.length) * seconds * 1e9
        this.#total.set(task.ID, (this.#total.get(task.ID) ?? 0) + used)
      }
    }
  }

  #report(NodeID: string, tasks: readonly string[]): NodeUsage {
    const used = (TaskID: string) => ({
      TaskID,
      CPUTotal: this.#total.get(TaskID) ?? 0,
      Memory: 1e6,
    })
    return sampleUsage(NodeID, this.#world.clock.nowMs(), tasks.map(used))
  }
}

const start = async (nodes: number) => {
  const world = await World.start(nodes)
  const meters = new Meters(world)
  const lead = (): Autoscaler => {
    const { store, clock } = world
    const scaler = new Autoscaler({ store, clock, log: quietLog, askUsage: meters.ask })
    scaler.start()
    return scaler
  }
  const replicas = (id = 'web') => world.service(id).Spec.Mode?.Replicated?.Replicas
  return { world, meters, lead, replicas }
}

const scaled = (autoscale: Partial<Autoscale> = {}): SpecChange => ({
  TaskTemplate: {
    ContainerSpec: { Image: 'ok' },
    Resources: { Reservations: { NanoCPUs: 0.1e9 } },
  },
  Swarmctl: { Autoscale: { Min: 1, Max: 10, CpuPercent: 50, ...autoscale } },
})

t.test('a service grows with its load, and shrinks when it has been less for long', async (t) => {
  const { world, meters, lead, replicas } = await start(3)
  const scaler = lead()
  await world.createService('web', scaled({ Min: 2 }))
  await world.createService('other', { replicas: 4 })
  // Work that 6 tasks share at half of what they reserve.
  meters.load = (task, running) => (task.ServiceID === 'web' ? 0.3 / running : 1)
  await world.clock.advance(MINUTE)
  t.equal(replicas(), 6)
  t.equal(world.running('web').length, 6)
  t.equal(replicas('other'), 4)
  const known = new Set(world.tasks('web').map(({ ID }) => ID))
  t.ok(
    meters.asked.every(([, tasks]) => tasks.every((id) => known.has(id))),
    'nobody is asked about other services',
  )
  const { Autoscaled, SpecVersion } = world.service('web').Swarmctl
  t.match(Autoscaled, { From: 2, To: 6, Reason: /cpu at 150% \(target 50%\) calls for 6/ })
  t.equal(world.service('web').PreviousSpec, undefined, 'no change of a user')
  t.equal(world.service('web').UpdateStatus, undefined, 'and no update')
  t.match(scaler.report('web'), { Tasks: { Reported: 6 }, Message: /^stays at 6: cpu at 50%/ })

  meters.load = (task, running) => (task.ServiceID === 'web' ? 0.1 / running : 1)
  await world.clock.advance(4 * MINUTE)
  t.equal(replicas(), 6, 'still within the window')
  await world.clock.advance(2 * MINUTE)
  t.equal(replicas(), 2)
  t.equal(world.running('web').length, 2)
  t.equal(world.service('web').Swarmctl.SpecVersion, SpecVersion)
  await scaler.stop()
})

t.test('growth is bounded in time and by the most', async (t) => {
  const { world, meters, lead, replicas } = await start(3)
  const scaler = lead()
  await world.createService('web', scaled({ Max: 12 }))
  meters.load = () => 5
  const seen: unknown[] = []
  for (let step = 0; step < 9; step++) {
    await world.clock.advance(10 * SECOND)
    if (seen.at(-1) !== replicas()) seen.push(replicas())
  }
  t.strictSame(seen, [1, 5, 10, 12], 'four more or twice as many at once, then its most')
  await scaler.stop()
})

t.test('a service whose use is not known is left alone', async (t) => {
  const { world, meters, lead, replicas } = await start(1)
  const scaler = lead()
  meters.silent.add('n1')
  await world.createService('web', scaled())
  meters.load = () => 5
  await world.clock.advance(10 * MINUTE)
  t.equal(replicas(), 1)
  t.match(scaler.report('web'), {
    Tasks: { Reported: 0, Starting: 0, Unknown: 1 },
    Message: 'stays at 1: the use of its tasks is not known (yet)',
  })
  meters.silent.clear()
  await world.clock.advance(30 * SECOND)
  t.equal(replicas(), 5, 'until the node answers')
  await scaler.stop()
})

t.test('a silent node holds nobody else up', async (t) => {
  const { world, meters, lead, replicas } = await start(2)
  const scaler = lead()
  await world.createService('web', { ...scaled(), replicas: 4 })
  meters.load = () => 0.2
  meters.silent.add('n2')
  await world.clock.advance(45 * SECOND)
  t.ok((replicas() ?? 0) > 4, 'half of the tasks say enough')
  await scaler.stop()
})

t.test('a new leader measures first', async (t) => {
  const { world, lead, replicas } = await start(1)
  const old = lead()
  await world.createService('web', { ...scaled({ ScaleDownWindow: 60e9 }), replicas: 6 })
  await world.clock.advance(MINUTE - 5 * SECOND)
  await old.stop()
  t.equal(old.report('web'), undefined, 'it leads no more')
  t.equal(replicas(), 6)
  const scaler = lead()
  await world.clock.advance(0)
  t.match(scaler.report('web'), { Message: /not known/ })
  await world.clock.advance(50 * SECOND)
  t.equal(replicas(), 6, 'it has not seen a whole window')
  await world.clock.advance(20 * SECOND)
  t.equal(replicas(), 1)
  await scaler.stop()
})

t.test('it rests while an update runs, and goes on from what there is', async (t) => {
  const { world, meters, lead, replicas } = await start(2)
  const scaler = lead()
  await world.createService('web', { ...scaled(), replicas: 2 })
  await world.clock.advance(30 * SECOND)
  await world.updateService('web', {
    ...scaled(),
    image: 'ok2',
    UpdateConfig: { Parallelism: 1, Delay: 20e9, Monitor: 1e9 },
  })
  meters.load = () => 0.1
  await world.clock.advance(15 * SECOND)
  t.equal(world.service('web').UpdateStatus?.State, 'updating')
  t.equal(replicas(), 2)
  t.match(scaler.report('web'), { Message: /^rests until the service's update is over/ })
  await world.clock.advance(2 * MINUTE)
  t.equal(world.service('web').UpdateStatus?.State, 'completed')
  t.equal(replicas(), 10)
  await scaler.stop()
})

/** A service that its load has brought from 2 to 6 tasks. */
const startGrown = async () => {
  const { world, meters, lead, replicas } = await start(2)
  const scaler = lead()
  await world.createService('web', scaled({ Min: 2 }))
  meters.load = (_task, running) => 0.3 / running
  await world.clock.advance(MINUTE)
  return { world, scaler, replicas }
}

t.test('an update that is rolled back keeps the number of tasks', async (t) => {
  const { world, scaler, replicas } = await startGrown()
  t.equal(replicas(), 6)
  // As control keeps it: the number of tasks is not the user's.
  await world.updateService('web', {
    image: 'broken',
    UpdateConfig: { FailureAction: 'rollback', Monitor: 1e9 },
  })
  const before = world.service('web').PreviousSpec
  await world.store.update((tx) => {
    const web = tx.get('service', 'web')
    if (web === undefined || before === undefined) return
    const PreviousSpec = { ...before, Mode: { Replicated: { Replicas: 2 } } }
    tx.put('service', { ...web, PreviousSpec })
  })
  await world.clock.advance(MINUTE)
  t.equal(world.service('web').UpdateStatus?.State, 'rollback_completed')
  t.equal(world.service('web').Spec.TaskTemplate.ContainerSpec?.Image, 'ok')
  t.equal(replicas(), 6)
  await scaler.stop()
})

t.test('without such services nobody is asked and nothing waits', async (t) => {
  const { world, meters, lead, replicas } = await start(1)
  const scaler = lead()
  await world.createService('plain', { replicas: 2 })
  await world.clock.advance(MINUTE)
  t.strictSame(meters.asked, [])
  await world.createService('web', scaled())
  meters.load = () => 0.2
  await world.clock.advance(MINUTE)
  t.equal(replicas(), 10, 'one that comes later is seen')
  await world.updateService('web', { Swarmctl: {} })
  meters.load = () => 0
  await world.clock.advance(MINUTE)
  const { length } = meters.asked
  await world.clock.advance(MINUTE)
  t.equal(meters.asked.length, length)
  t.equal(scaler.report('web'), undefined)
  t.equal(replicas(), 10, 'what it had come to stays')
  await scaler.stop()
})

t.test('a user may scale meanwhile; it goes on from there', async (t) => {
  const { world, scaler, replicas } = await startGrown()
  await world.updateService('web', { replicas: 3 })
  t.equal(replicas(), 3)
  await world.clock.advance(MINUTE)
  t.equal(replicas(), 6)
  await world.updateService('web', { replicas: 0 })
  await world.clock.advance(MINUTE)
  t.equal(replicas(), 0, 'none is a pause')
  await scaler.stop()
})

t.test('a stop does not wait for a silent node', async (t) => {
  const { world, meters, lead } = await start(1)
  await world.createService('web', scaled())
  await world.clock.advance(SECOND)
  meters.silent.add('n1')
  const scaler = lead()
  await world.clock.advance(0)
  t.equal(meters.asked.length, 1)
  await scaler.stop()
  await world.clock.advance(MINUTE)
  t.equal(meters.asked.length, 1, 'and nothing comes after it')
})
