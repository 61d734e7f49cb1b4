import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { isTerminal } from '../../../src/api/task-state.ts'
import { BRAKE_HOLD_MS, BRAKE_SETTLE_MS } from '../../../src/manager/orchestrator/node-brake.ts'
import { ORPHAN_AFTER_MS } from '../../../src/manager/orchestrator/reap-plan.ts'
import { DOWN_AFTER_MS, World } from '../../support/orchestration/world.ts'

const seconds = (count: number): number => count * 1e9
const images = (tasks: Task[]): (string | undefined)[] =>
  tasks.map((task) => task.Spec.ContainerSpec?.Image)
const nodes = (tasks: Task[]): string[] => tasks.map((task) => task.NodeID).sort()

t.test(
  'thirty replicas are created, allocated and placed in one log entry each step',
  async (t) => {
    const world = await World.start(3)
    await world.clock.advance(0)
    const before = world.proposer.log.length
    await world.createService('web', { replicas: 30 })
    t.equal(world.wanted('web').filter((task) => task.Status.State === 'assigned').length, 30)
    t.equal(
      world.proposer.log.length - before,
      5,
      'the service, its endpoint, creation, allocation, assignment',
    )
    await world.clock.advance(500)
    t.equal(world.running('web').length, 30)
    t.strictSame(
      [1, 2, 3].map((n) => nodes(world.running('web')).filter((id) => id === `n${n}`).length),
      [10, 10, 10],
    )
    t.strictSame(
      world
        .running('web')
        .map((task) => task.Slot)
        .sort((a, b) => (a ?? 0) - (b ?? 0)),
      Array.from({ length: 30 }, (_, i) => i + 1),
    )
  },
)

t.test('scaling down takes what does not run first, then the most loaded nodes', async (t) => {
  const world = await World.start(2)
  await world.createService('web', { replicas: 4 })
  await world.clock.advance(1000)
  await world.addNode(3)
  await world.updateService('web', { replicas: 5 })
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n1', 'n2', 'n2', 'n3'])
  await world.updateService('web', { replicas: 3 })
  await world.clock.advance(1000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n2', 'n3'])
  t.equal(world.tasks('web').length, 3, 'what was scaled down is gone')
  t.equal(world.service('web').UpdateStatus, undefined, 'scaling is no update')
  t.equal(images(world.running('web')).length, 3)
})

t.test('a large service is made in several steps', async (t) => {
  const world = await World.start(1)
  await world.createService('web', { replicas: 1500 })
  await world.clock.advance(1000)
  t.equal(world.tasks('web').length, 1500)
})

t.test('a failed task is replaced after the delay, at once when it is 0', async (t) => {
  const world = await World.start(1)
  await world.createService('web', {
    TaskTemplate: { ContainerSpec: { Image: 'crash:1000' }, RestartPolicy: { Delay: seconds(2) } },
  })
  await world.createService('now', {
    TaskTemplate: { ContainerSpec: { Image: 'crash:1000' }, RestartPolicy: { Delay: 0 } },
  })
  await world.clock.advance(1300)
  const [replacement] = world.wanted('web')
  t.equal(replacement?.DesiredState, 'ready', 'its image is pulled meanwhile')
  const [immediate] = world.wanted('now')
  t.equal(immediate?.DesiredState, 'running')
  t.equal(immediate?.Status.State, 'assigned')
  await world.clock.advance(1900)
  t.equal(world.store.view().get('task', replacement?.ID ?? '')?.Status.State, 'ready')
  await world.clock.advance(400)
  t.equal(world.running('web').length, 1)
})

t.test('restart conditions and attempts', async (t) => {
  const cases = [
    { condition: 'none', image: 'crash:100', attempts: 0, tasks: 1 },
    { condition: 'on-failure', image: 'exit:100', attempts: 0, tasks: 1 },
    { condition: 'on-failure', image: 'crash:100', attempts: 3, tasks: 4 },
    { condition: 'any', image: 'exit:100', attempts: 2, tasks: 3 },
    { condition: 'any', image: 'broken', attempts: 7, tasks: 8 },
  ] as const
  for (const { condition, image, attempts, tasks } of cases) {
    const world = await World.start(1)
    const RestartPolicy = { Condition: condition, Delay: 0, MaxAttempts: attempts }
    await world.createService('web', {
      TaskTemplate: { ContainerSpec: { Image: image }, RestartPolicy },
    })
    await world.clock.advance(60_000)
    t.equal(world.tasks('web').length, tasks, `${condition} ${image} ${attempts}`)
    t.equal(world.wanted('web').length, 0)
    await world.stopLoops()
    world.startLoops()
    await world.clock.advance(60_000)
    t.equal(world.tasks('web').length, tasks, 'a new leader counts them again')
    await world.updateService('web', { image: 'ok' })
    await world.clock.advance(60_000)
    t.equal(world.running('web').length, 1, 'a new spec starts the slot again')
    t.equal(world.service('web').UpdateStatus?.State, 'completed')
  }
})

t.test('old tasks are bounded by the history limit', async (t) => {
  const world = await World.start(1)
  await world.createService('web', {
    TaskTemplate: { ContainerSpec: { Image: 'crash:100' }, RestartPolicy: { Delay: 0 } },
  })
  await world.clock.advance(60_000)
  t.equal(world.tasks('web').length, 5)
  await world.store.update((tx) => {
    const cluster = tx.cluster()
    if (cluster === undefined) return
    const Orchestration = { TaskHistoryRetentionLimit: 2 }
    tx.put('cluster', { ...cluster, Spec: { ...cluster.Spec, Orchestration } })
  })
  await world.clock.advance(1)
  t.equal(world.tasks('web').length, 2)
  await world.removeService('web')
  await world.clock.advance(1000)
  t.equal(world.tasks('web').length, 0, 'nothing is left of a removed service')
})

t.test('stop-first: one at a time, each old task ends before its successor starts', async (t) => {
  const world = await World.start(3)
  await world.createService('web', { replicas: 3, UpdateConfig: { Delay: seconds(1) } })
  await world.clock.advance(1000)
  let runningMin = 3
  let runningMax = 0
  const unwatch = world.store.watch(() => {
    const count = world.containers().length
    runningMin = Math.min(runningMin, count)
    runningMax = Math.max(runningMax, count)
  })
  await world.updateService('web', { image: 'ok2' })
  t.match(world.service('web').UpdateStatus, { State: 'updating', Message: 'update in progress' })
  t.equal(world.wanted('web').filter((task) => task.DesiredState === 'ready').length, 1)
  await world.clock.advance(10_000)
  unwatch()
  t.equal(runningMin, 2)
  t.equal(runningMax, 3)
  t.strictSame(images(world.running('web')), ['ok2', 'ok2', 'ok2'])
  t.match(world.service('web').UpdateStatus, { State: 'completed', Message: 'update completed' })
})

t.test('start-first: the old task stays until the new one runs', async (t) => {
  const world = await World.start(2)
  await world.createService('web', {
    replicas: 2,
    UpdateConfig: { Order: 'start-first', Parallelism: 0 },
  })
  await world.clock.advance(1000)
  let runningMin = 2
  world.store.watch(() => {
    runningMin = Math.min(runningMin, world.running('web').length)
  })
  await world.updateService('web', { image: 'ok2' })
  await world.clock.advance(20_000)
  t.equal(runningMin, 2)
  t.strictSame(images(world.running('web')), ['ok2', 'ok2'])
  t.equal(world.service('web').UpdateStatus?.State, 'completed')
})

t.test('failures in an update', async (t) => {
  const cases = [
    { action: 'pause', image: 'broken', state: 'paused', old: 2 },
    { action: 'pause', image: 'crash:1000', state: 'paused', old: 0 },
    { action: 'continue', image: 'broken', state: 'completed', old: 0 },
    { action: 'rollback', image: 'broken', state: 'rollback_completed', old: 3 },
  ] as const
  for (const { action, image, state, old } of cases) {
    const world = await World.start(3)
    await world.createService('web', { replicas: 3, UpdateConfig: { FailureAction: action } })
    await world.clock.advance(1000)
    await world.updateService('web', { image })
    await world.clock.advance(60_000)
    const status = world.service('web').UpdateStatus
    t.equal(status?.State, state, `${action} on ${image}`)
    if (state === 'paused') {
      t.match(status?.Message, /^update paused due to failure or early termination of task id\d+$/)
    }
    t.equal(images(world.running('web')).filter((name) => name === 'ok').length, old)
  }
})

t.test('a tolerated share of failures does not stop the update', async (t) => {
  const world = await World.start(1)
  await world.createService('web', {
    replicas: 4,
    UpdateConfig: { FailureAction: 'pause', MaxFailureRatio: 1 },
  })
  await world.clock.advance(1000)
  await world.updateService('web', { image: 'broken' })
  await world.clock.advance(60_000)
  t.equal(world.service('web').UpdateStatus?.State, 'completed')
})

t.test('a rollback uses its own config and never rolls back itself', async (t) => {
  const world = await World.start(2)
  await world.createService('web', {
    image: 'broken',
    replicas: 2,
    UpdateConfig: { FailureAction: 'rollback', Parallelism: 0 },
    RollbackConfig: { FailureAction: 'rollback', Parallelism: 1 },
    TaskTemplate: { RestartPolicy: { Delay: seconds(600) } },
  })
  await world.clock.advance(1000)
  await world.updateService('web', { image: 'broken2' })
  await world.clock.advance(60_000)
  const status = world.service('web').UpdateStatus
  t.equal(status?.State, 'rollback_paused')
  t.match(status?.Message, /^rollback paused due to failure or early termination of task/)
  t.equal(world.service('web').Spec.TaskTemplate.ContainerSpec?.Image, 'broken')
  t.equal(world.service('web').PreviousSpec, undefined)
})

t.test('a rollback goes by its own order, parallelism and delay', async (t) => {
  for (const Order of ['start-first', 'stop-first'] as const) {
    const world = await World.start(3)
    await world.createService('web', {
      replicas: 4,
      UpdateConfig: { Order: Order === 'start-first' ? 'stop-first' : 'start-first' },
      RollbackConfig: { Order, Parallelism: 2, Delay: seconds(5) },
    })
    await world.clock.advance(1000)
    await world.updateService('web', { image: 'ok2' })
    await world.clock.advance(60_000)
    t.strictSame(images(world.running('web')), Array(4).fill('ok2'))
    const [running, containers]: [number[], number[]] = [[], []]
    const unwatch = world.store.watch(() => {
      running.push(world.running('web').length)
      containers.push(world.containers().length)
    })
    await world.rollBackService('web')
    await world.clock.advance(60_000)
    unwatch()
    const [least, most] = Order === 'start-first' ? [4, 6] : [2, 4]
    t.strictSame(
      [Math.min(...running), Math.max(...containers)],
      [least, most],
      `${Order}, two at a time`,
    )
    t.equal(world.service('web').UpdateStatus?.State, 'rollback_completed')
    const tasks = world.running('web')
    t.strictSame(images(tasks), Array(4).fill('ok'))
    const [first, second, third, fourth] = tasks
      .map((task) => Date.parse(task.CreatedAt))
      .sort((a, b) => a - b) as [number, number, number, number]
    t.strictSame([second - first, fourth - third], [0, 0])
    t.ok(third - second >= 5000, `${third - second} ms between the two pairs`)
  }
})

t.test('what a failing rollback does is its own config', async (t) => {
  const cases = [
    [{ FailureAction: 'pause' }, 'rollback_paused'],
    [{ FailureAction: 'pause', MaxFailureRatio: 1 }, 'rollback_completed'],
    [{ FailureAction: 'continue' }, 'rollback_completed'],
  ] as const
  for (const [RollbackConfig, state] of cases) {
    const world = await World.start(2)
    await world.createService('web', {
      image: 'broken',
      replicas: 2,
      UpdateConfig: { FailureAction: 'rollback', Parallelism: 0 },
      RollbackConfig: { Parallelism: 1, ...RollbackConfig },
    })
    await world.clock.advance(1000)
    await world.updateService('web', { image: 'broken2' })
    await world.clock.advance(60_000)
    t.equal(world.service('web').UpdateStatus?.State, state, JSON.stringify(RollbackConfig))
  }
})

t.test('a new update supersedes the one that is under way; a new leader goes on', async (t) => {
  const world = await World.start(2)
  await world.createService('web', { replicas: 6, UpdateConfig: { Delay: seconds(2) } })
  await world.clock.advance(1000)
  await world.updateService('web', { image: 'ok2' })
  await world.clock.advance(3000)
  t.ok(images(world.running('web')).includes('ok2'))
  await world.updateService('web', { image: 'ok3' })
  await world.clock.advance(3000)
  await world.stopLoops()
  await world.clock.advance(1000)
  const counted = images(world.running('web')).filter((name) => name === 'ok3').length
  t.ok(counted > 0 && counted < 6)
  world.startLoops()
  await world.clock.advance(60_000)
  t.strictSame(images(world.running('web')), Array(6).fill('ok3'))
  t.equal(world.service('web').UpdateStatus?.State, 'completed')
})

t.test('placement that is still satisfied and new credentials replace nothing', async (t) => {
  const world = await World.start(2)
  await world.createService('web', { replicas: 2 })
  await world.clock.advance(1000)
  const ids = world.running('web').map((task) => task.ID)
  await world.updateService('web', {
    TaskTemplate: {
      Placement: { Constraints: ['node.role==worker'] },
      PullOptions: { RegistryAuth: 'x' },
    },
  })
  await world.clock.advance(10_000)
  t.strictSame(
    world.running('web').map((task) => task.ID),
    ids,
  )
  t.equal(world.service('web').UpdateStatus, undefined)
  await world.updateService('web', {
    TaskTemplate: { Placement: { Constraints: ['node.hostname==host-1'] } },
  })
  await world.clock.advance(10_000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n1'])
})

t.test('new credentials give a service that could not be pulled another try', async (t) => {
  const world = await World.start(1)
  await world.createService('web', {
    image: 'broken',
    TaskTemplate: { ContainerSpec: { Image: 'broken' }, RestartPolicy: { Condition: 'none' } },
  })
  await world.clock.advance(10_000)
  t.equal(world.tasks('web').length, 1)
  await world.updateService('web', { TaskTemplate: { PullOptions: { RegistryAuth: 'x' } } })
  await world.clock.advance(10_000)
  t.equal(world.tasks('web').length, 2)
})

t.test('a lost node: its tasks run elsewhere at once, and end when it returns', async (t) => {
  const world = await World.start(3)
  await world.createService('web', { replicas: 3 })
  await world.createService('each', { Mode: { Global: {} } })
  await world.clock.advance(1000)
  world.kill('n2')
  await world.clock.advance(DOWN_AFTER_MS + 300)
  t.equal(world.running('web').length, 3)
  t.notOk(nodes(world.running('web')).includes('n2'))
  t.equal(world.running('each').length, 2)
  await world.revive('n2')
  await world.clock.advance(2000)
  t.equal(world.running('web').length, 3)
  t.strictSame(nodes(world.running('each')), ['n1', 'n2', 'n3'])
  const old = world.tasks('web').filter((task) => task.NodeID === 'n2')
  t.ok(old.length > 0 && old.every((task) => isTerminal(task.Status.State)))
})

t.test('tasks are orphaned after a day on a lost node, at once on a removed one', async (t) => {
  const world = await World.start(3)
  await world.createService('web', { replicas: 3 })
  await world.clock.advance(1000)
  world.kill('n2')
  await world.clock.advance(ORPHAN_AFTER_MS)
  const lost = () => world.tasks('web').filter((task) => task.NodeID === 'n2')
  t.strictSame(
    lost().map((task) => task.Status.State),
    ['running'],
  )
  await world.clock.advance(DOWN_AFTER_MS + 1000)
  t.strictSame(
    lost().map((task) => task.Status.State),
    ['orphaned'],
  )
  world.kill('n3')
  await world.store.update((tx) => tx.remove('node', 'n3'))
  await world.clock.advance(2000)
  t.strictSame(nodes(world.running('web')), ['n1', 'n1', 'n1'])
  t.ok(world.tasks('web').every((task) => task.NodeID !== 'n3' || task.Status.State === 'orphaned'))
})

t.test('when most nodes vanish at once their tasks are left alone for a while', async (t) => {
  const world = await World.start(5)
  await world.createService('web', { replicas: 5 })
  await world.clock.advance(1000)
  for (const id of ['n1', 'n2', 'n3']) {
    world.kill(id)
    await world.clock.advance(BRAKE_SETTLE_MS / 3)
  }
  await world.clock.advance(DOWN_AFTER_MS + BRAKE_HOLD_MS - 1000)
  t.equal(world.tasks('web').length, 5, 'nothing was replaced')
  t.match(world.warnings, [/^3 of 5 nodes vanished at once/])
  await world.clock.advance(2000)
  t.strictSame(nodes(world.running('web')), ['n4', 'n4', 'n4', 'n5', 'n5'])
})

t.test('jobs: so many completions, so many at a time, each update anew', async (t) => {
  const world = await World.start(2)
  let concurrentMax = 0
  world.store.watch(() => {
    concurrentMax = Math.max(concurrentMax, world.containers().length)
  })
  await world.createService('job', {
    image: 'exit:1000',
    Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } },
  })
  await world.clock.advance(20_000)
  const done = () => world.tasks('job').filter((task) => task.Status.State === 'complete')
  t.strictSame(
    done()
      .map((task) => task.Slot)
      .sort(),
    [0, 1, 2, 3, 4],
  )
  t.equal(concurrentMax, 2)
  await world.updateService('job', { image: 'exit:500' })
  await world.clock.advance(20_000)
  t.equal(done().length, 5)
  t.ok(world.tasks('job').every((task) => task.JobIteration?.Index === 1))
  await world.createService('all', { image: 'exit:100', Mode: { GlobalJob: {} } })
  await world.clock.advance(10_000)
  for (const availability of ['active', 'pause', 'drain', 'active'] as const) {
    await world.setAvailability('n2', availability)
    await world.clock.advance(1000)
    t.strictSame(
      world
        .tasks('all')
        .map((task) => [task.NodeID, task.Status.State, task.DesiredState])
        .sort(),
      [
        ['n1', 'complete', 'complete'],
        ['n2', 'complete', 'complete'],
      ],
      `what has completed stays so: ${availability}`,
    )
  }
})
