import type { ServiceSpec } from '../../../src/api/service-spec.ts'
import type { Random } from './random.ts'
import type { SpecChange, World } from './world.ts'

const SERVICES_MAX = 6
const SECOND_NS = 1e9

type Change = (world: World, random: Random) => Promise<void>

/** Each with how often it is chosen, relative to the others. */
const CHANGES: readonly (readonly [weight: number, change: Change])[] = [
  [2, (world, random) => createSomething(world, random)],
  [1, async (world, random) => withService(world, random, (id) => world.removeService(id))],
  [4, async (world, random) => withService(world, random, (id) => scale(world, random, id))],
  [6, async (world, random) => withService(world, random, (id) => update(world, random, id))],
  [2, async (world, random) => world.kill(random.pick([...world.agents.keys()]))],
  [3, (world, random) => world.revive(random.pick([...world.agents.keys()]))],
  [2, (world, random) => setAvailability(world, random)],
  [1, (world, random) => setLabel(world, random)],
  [1, (world) => changeLeader(world)],
]

/** One thing that users, machines or managers do. */
export const changeSomething = async (world: World, random: Random): Promise<void> => {
  let left = random.integer(
    1,
    CHANGES.reduce((sum, [weight]) => sum + weight, 0),
  )
  for (const [weight, change] of CHANGES) {
    left -= weight
    if (left <= 0) return change(world, random)
  }
}

export const createSomething = async (world: World, random: Random): Promise<void> => {
  const count = world.store.view().list('service').length
  if (count >= SERVICES_MAX) return
  const name = world.newId()
  const kind = random.pick(['replicated', 'replicated', 'replicated', 'global', 'job'] as const)
  const parts = { TaskTemplate: randomTemplate(random), UpdateConfig: randomUpdate(random) }
  switch (kind) {
    case 'replicated':
      await world.createService(name, { ...parts, replicas: random.integer(1, 6) })
      return
    case 'global':
      await world.createService(name, { ...parts, Mode: { Global: {} } })
      return
    case 'job': {
      const MaxConcurrent = random.integer(1, 3)
      const TotalCompletions = random.integer(1, 6)
      const Mode = { ReplicatedJob: { MaxConcurrent, TotalCompletions } }
      await world.createService(name, {
        TaskTemplate: randomTemplate(random, jobImage(random)),
        Mode,
      })
      return
    }
    default:
      kind satisfies never
  }
}

const withService = async (
  world: World,
  random: Random,
  run: (id: string) => Promise<void>,
): Promise<void> => {
  const services = world.store.view().list('service')
  if (services.length > 0) await run(random.pick(services).ID)
}

const scale = async (world: World, random: Random, id: string): Promise<void> => {
  if (world.service(id).Spec.Mode?.Replicated === undefined) return
  await world.updateService(id, { replicas: random.integer(0, 8) })
}

const update = async (world: World, random: Random, id: string): Promise<void> => {
  const isJob = world.service(id).Spec.Mode?.ReplicatedJob !== undefined
  const change: SpecChange = {
    TaskTemplate: randomTemplate(random, isJob ? jobImage(random) : undefined),
    ...(isJob ? {} : { UpdateConfig: randomUpdate(random), RollbackConfig: randomUpdate(random) }),
  }
  await world.updateService(id, change)
}

const setAvailability = (world: World, random: Random): Promise<void> =>
  world.setAvailability(
    random.pick([...world.agents.keys()]),
    random.pick(['active', 'active', 'pause', 'drain'] as const),
  )

const setLabel = (world: World, random: Random): Promise<void> =>
  world.changeNode(random.pick([...world.agents.keys()]), (node) => ({
    Spec: { ...node.Spec, Labels: { zone: random.pick(['a', 'b']) } },
  }))

const changeLeader = async (world: World): Promise<void> => {
  await world.stopLoops()
  await world.clock.advance(1000)
  world.startLoops()
}

const randomImage = (random: Random): string =>
  random.chance(0.7)
    ? `ok${random.integer(1, 9)}`
    : random.pick(['broken', `crash:${random.integer(0, 8000)}`, `exit:${random.integer(0, 8000)}`])

const jobImage = (random: Random): string =>
  random.chance(0.8) ? `exit:${random.integer(0, 5000)}` : 'broken'

const randomTemplate = (
  random: Random,
  image = randomImage(random),
): ServiceSpec['TaskTemplate'] => ({
  ContainerSpec: { Image: image },
  Resources: { Reservations: { MemoryBytes: random.integer(0, 3) * 1e9 } },
  RestartPolicy: {
    Condition: random.pick(['any', 'any', 'on-failure', 'none'] as const),
    Delay: random.integer(0, 8) * SECOND_NS,
    MaxAttempts: random.chance(0.5) ? random.integer(1, 7) : 0,
  },
  Placement: {
    ...(random.chance(0.2) ? { Constraints: ['node.labels.zone!=b'] } : {}),
    ...(random.chance(0.2)
      ? { Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }] }
      : {}),
    MaxReplicas: random.chance(0.2) ? random.integer(1, 3) : 0,
  },
})

const randomUpdate = (random: Random): NonNullable<ServiceSpec['UpdateConfig']> => ({
  Parallelism: random.integer(0, 3),
  Delay: random.integer(0, 3) * SECOND_NS,
  Monitor: random.integer(0, 6) * SECOND_NS,
  MaxFailureRatio: random.pick([0, 0, 0.3]),
  FailureAction: random.pick(['pause', 'continue', 'rollback'] as const),
  Order: random.pick(['stop-first', 'stop-first', 'start-first'] as const),
})
