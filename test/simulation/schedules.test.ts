import t from 'tap'
import { SCHEDULE_DEFAULTS } from '../../src/api/schedule.ts'
import type { Schedule } from '../../src/api/schedule-spec.ts'
import type { Service } from '../../src/api/service.ts'
import type { Task } from '../../src/api/task.ts'
import { isTerminal } from '../../src/api/task-state.ts'
import { RUNS_AT_ONCE_MAX } from '../../src/manager/orchestrator/cron.ts'
import { Random } from '../support/orchestration/random.ts'
import { trySeeds } from '../support/orchestration/try-seeds.ts'
import { World } from '../support/orchestration/world.ts'

/**
 * Jobs with random schedules under random updates, forced runs, node deaths and leader changes, on the real loops. `SEED=` replays one seed, `SEEDS=`
 * runs that many.
 */
const SEEDS_DEFAULT = 50
const STEPS = 30
const NODES = 3
const SECOND_NS = 1e9
/** After the last due time everything must have come to rest by then, milliseconds. */
const REST_MS = 10 * 60_000
/** Far more changes than any one event needs. */
const APPLIED_AT_ONCE_MAX = 500

const randomSchedule = (random: Random): Schedule => ({
  Cron: random.pick(['* * * * *', '*/2 * * * *', '*/20 * * * * *', '@hourly']),
  ConcurrencyPolicy: random.pick(['Allow', 'Forbid', 'Replace'] as const),
  ...(random.chance(0.3) && { StartingDeadline: random.integer(0, 90) * SECOND_NS }),
  ...(random.chance(0.5) && { CompletedHistoryLimit: random.integer(0, 4) }),
  ...(random.chance(0.5) && { FailedHistoryLimit: random.integer(0, 2) }),
})

const randomSpec = (random: Random) => {
  const MaxConcurrent = random.integer(1, 2)
  return {
    image: random.chance(0.7) ? `exit:${random.integer(0, 150_000)}` : 'crash:500',
    TaskTemplate: {
      RestartPolicy: {
        Condition: random.pick(['any', 'none'] as const),
        MaxAttempts: random.integer(1, 3),
      },
    },
    Mode: { ReplicatedJob: { MaxConcurrent, TotalCompletions: random.integer(1, 3) } },
    Swarmctl: { Schedule: randomSchedule(random) },
  }
}

/** What must hold after every applied change. */
class Checker {
  readonly violations: string[] = []
  /** `service run slot` whose work is done. */
  readonly #done = new Set<string>()
  #atMs = 0
  #count = 0

  constructor(world: World) {
    world.store.watch((changes) => {
      this.#count = world.clock.nowMs() === this.#atMs ? this.#count + 1 : 0
      this.#atMs = world.clock.nowMs()
      if (this.#count > APPLIED_AT_ONCE_MAX) throw new Error('the loops answer each other for ever')
      for (const change of changes) {
        if (change.kind === 'service' && change.action === 'update') {
          this.#checkRun(change.object, change.old, world.tasks(change.object.ID))
        }
        if (change.kind === 'task' && change.action === 'create') this.#checkNew(change.object)
        if (change.kind === 'task' && change.object?.Status.State === 'complete') {
          this.#done.add(slotOf(change.object))
        }
      }
    })
  }

  #checkRun(service: Service, old: Service, tasks: readonly Task[]): void {
    const due = service.Swarmctl.ScheduleStatus?.LastDue
    const before = old.Swarmctl.ScheduleStatus?.LastDue
    const counted =
      (service.JobStatus?.JobIteration.Index ?? 0) - (old.JobStatus?.JobIteration.Index ?? 0)
    if (due === before) return
    if (counted !== 1) this.violations.push(`${service.ID}: ${counted} runs for ${due}`)
    if (before !== undefined && due !== undefined && due <= before) {
      this.violations.push(`${service.ID}: ${due} after ${before}`)
    }
    const live = tasks.filter(
      ({ Status, DesiredState }) => DesiredState === 'complete' && !isTerminal(Status.State),
    )
    const runs = new Set(live.map((task) => task.JobIteration?.Index)).size
    const policy = service.Spec.Swarmctl?.Schedule?.ConcurrencyPolicy
    if (policy === 'Forbid' && runs > 0) this.violations.push(`${service.ID}: overlaps at ${due}`)
    if (runs > RUNS_AT_ONCE_MAX) this.violations.push(`${service.ID}: ${runs} runs at once`)
  }

  #checkNew(task: Task): void {
    if (this.#done.has(slotOf(task))) this.violations.push(`${slotOf(task)} is done again`)
  }
}

const slotOf = (task: Task): string => `${task.ServiceID} ${task.JobIteration?.Index} ${task.Slot}`

/** What is left when nothing is due any more: no work under way, and no more history than asked for. */
const unmet = (world: World, id: string): string[] => {
  const tasks = world.tasks(id)
  const open = tasks.filter(({ Status }) => !isTerminal(Status.State))
  const runs = Map.groupBy(tasks, (task) => task.JobIteration?.Index)
  const schedule = world.service(id).Spec.Swarmctl?.Schedule
  const keptMax =
    (schedule?.CompletedHistoryLimit ?? SCHEDULE_DEFAULTS.completedHistoryLimit) +
    (schedule?.FailedHistoryLimit ?? SCHEDULE_DEFAULTS.failedHistoryLimit) +
    1
  return [
    ...(open.length > 0 ? [`${id}: ${open.length} tasks have not ended`] : []),
    ...(runs.size > keptMax ? [`${id}: ${runs.size} runs are kept, of ${keptMax}`] : []),
  ]
}

const change = async (world: World, random: Random): Promise<void> => {
  const id = random.pick(['a', 'b'])
  const node = random.pick([...world.agents.keys()])
  const Schedule = world.service(id).Spec.Swarmctl?.Schedule
  switch (random.pick(['update', 'force', 'suspend', 'leader', 'kill', 'revive'] as const)) {
    case 'update':
      return world.updateService(id, randomSpec(random))
    case 'force':
      return world.updateService(id, { TaskTemplate: { ForceUpdate: world.clock.nowMs() } })
    case 'suspend':
      if (Schedule === undefined) return
      return world.updateService(id, {
        Swarmctl: { Schedule: { ...Schedule, Suspend: random.chance(0.5) } },
      })
    case 'leader':
      await world.stopLoops()
      await world.clock.advance(random.integer(0, 180_000))
      return world.startLoops()
    case 'kill':
      return world.kill(node)
    case 'revive':
      return world.revive(node)
  }
}

const simulate = async (seed: number): Promise<string[]> => {
  const random = new Random(seed)
  const world = new World()
  const checker = new Checker(world)
  await world.boot(NODES)
  await world.createService('a', randomSpec(random))
  await world.createService('b', randomSpec(random))
  for (let step = 0; step < STEPS && checker.violations.length === 0; step++) {
    await change(world, random)
    await world.clock.advance(random.integer(0, 100_000))
  }
  await world.heal()
  for (const id of ['a', 'b']) {
    const Schedule = world.service(id).Spec.Swarmctl?.Schedule
    if (Schedule === undefined) continue
    await world.updateService(id, { Swarmctl: { Schedule: { ...Schedule, Suspend: true } } })
  }
  await world.clock.advance(REST_MS)
  const failures = world.warnings.filter((warning) => warning.startsWith('reconcile failed'))
  const problems = [...failures, ...checker.violations, ...unmet(world, 'a'), ...unmet(world, 'b')]
  await world.stopLoops()
  return problems
}

t.setTimeout(5 * 60_000)

t.test('schedules under chaos', (t) => trySeeds(t, simulate, SEEDS_DEFAULT))
