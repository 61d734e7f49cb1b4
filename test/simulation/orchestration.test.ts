import t from 'tap'
import { historyLimitOf } from '../../src/manager/orchestrator/reap-plan.ts'
import { changeSomething, createSomething } from '../support/orchestration/chaos.ts'
import { InvariantChecker, unmetGoals } from '../support/orchestration/invariants.ts'
import { Random } from '../support/orchestration/random.ts'
import { trySeeds } from '../support/orchestration/try-seeds.ts'
import { World } from '../support/orchestration/world.ts'

/**
 * Random services, scales, updates, failures, node deaths and leader changes on the real orchestrator, reaper and scheduler. `SEED=`
 * replays one seed, `SEEDS=` runs that many.
 */
const SEEDS_DEFAULT = 100
const STEPS = 40
const NODES = 5
/** After the last change everything must have come to rest by then, milliseconds. */
const REST_MS = 6 * 60_000
const TIMEOUT_MS = 10 * 60_000

/** All that is stored of one service: `SEED=7 DUMP=id000012`. */
const dump = (world: World, serviceId: string): string =>
  [
    JSON.stringify(world.store.view().get('service', serviceId), null, 1),
    ...world
      .tasks(serviceId)
      .map(({ ID, Slot, NodeID, DesiredState, Status, Swarmctl, CreatedAt }) =>
        JSON.stringify([Slot, ID, NodeID, DesiredState, Status, Swarmctl.SpecVersion, CreatedAt]),
      ),
  ].join('\n')

const simulate = async (seed: number): Promise<string[]> => {
  const random = new Random(seed)
  const world = new World({
    prepareMs: random.integer(0, 500),
    startMs: random.integer(0, 2000),
    stopMs: random.integer(0, 20_000),
  })
  const checker = new InvariantChecker(world)
  await world.boot(NODES)
  for (let i = 0; i < 3; i++) await createSomething(world, random)
  for (let step = 0; step < STEPS && checker.violations.length === 0; step++) {
    await changeSomething(world, random)
    await world.clock.advance(random.integer(0, random.chance(0.3) ? 60_000 : 3000))
  }
  await world.heal()
  await world.clock.advance(REST_MS)
  const limit = historyLimitOf(world.store.view().cluster())
  if (process.env.DUMP !== undefined)
    t.comment(`${dump(world, process.env.DUMP)}\n${world.warnings.join('\n')}`)
  const failures = world.warnings.filter((warning) => warning.startsWith('reconcile failed'))
  const problems = [...failures, ...checker.violations, ...unmetGoals(world, limit)]
  await world.stopLoops()
  return problems
}

t.setTimeout(TIMEOUT_MS)

t.test('orchestration under chaos', (t) => trySeeds(t, simulate, SEEDS_DEFAULT))
