import t from 'tap'
import type { Task } from '../../../src/api/task.ts'
import { newControl, spec } from '../../support/control/control-fixture.ts'
import { sampleNode, sampleSecret, sampleTask } from '../../support/objects.ts'

const GB = 1e9

const reserving = (name: string, bytes: number, change: Record<string, unknown> = {}) => {
  const base = spec(name, change)
  const Resources = { Reservations: { MemoryBytes: bytes } }
  return { ...base, TaskTemplate: { ...base.TaskTemplate, Resources } }
}

const replicas = (Replicas: number) => ({ Mode: { Replicated: { Replicas } } })

/** Two nodes of 8 GB, and a service `old` whose one task holds 6 GB of the first. */
const cluster = async () => {
  const { store, control } = newControl()
  const { ID } = await control.createService(reserving('old', 6 * GB))
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 1))
    tx.put('node', sampleNode('n2', 2))
    const service = tx.get('service', ID)!
    tx.put(
      'task',
      sampleTask('t1', ID, {
        NodeID: 'n1',
        Spec: service.Spec.TaskTemplate,
        Status: { Timestamp: '', State: 'running', Message: '' },
        Swarmctl: {
          ...sampleTask('', '').Swarmctl,
          SpecVersion: service.Swarmctl.SpecVersion,
          Endpoint: { Mode: 'vip' },
        },
      }),
    )
  })
  return { store, control }
}

t.test('where services would be placed', async (t) => {
  const { store, control } = await cluster()
  const before = store.view().index
  const [fits, not] = await control.forecast({
    Services: [reserving('new', 4 * GB, replicas(2)), reserving('more', 3 * GB)],
  })
  t.match(fits, {
    Service: 'new',
    Wanted: 2,
    Replaced: 2,
    Placed: [{ NodeID: 'n2', Hostname: 'host-2', Tasks: 2 }],
    Unplaced: [],
  })
  t.match(not, {
    Service: 'more',
    Placed: [],
    Unplaced: [{ Tasks: 1, Reason: /insufficient memory/ }],
  })
  const [freed] = await control.forecast({
    Services: [reserving('new', 4 * GB, replicas(4))],
    Removed: ['old', 'unknown'],
  })
  t.strictSame(
    freed?.Placed.map(({ Tasks }) => Tasks),
    [2, 2],
    'what is to go makes room',
  )
  t.equal(store.view().index, before, 'nothing was changed')
})

t.test('a service that exists', async (t) => {
  const { control } = await cluster()
  const forecast = async (body: unknown) => (await control.forecast({ Services: [body] }))[0]
  t.match(await forecast(reserving('old', 6 * GB)), {
    Replaced: 0,
    Placed: [{ NodeID: 'n1', Tasks: 1 }],
  })
  t.match(
    await forecast(reserving('old', 6 * GB, replicas(3))),
    {
      Wanted: 3,
      Replaced: 2,
      Placed: [{ NodeID: 'n1' }, { NodeID: 'n2', Tasks: 1 }],
      Unplaced: [{ Tasks: 1 }],
    },
    'its task stays, one finds room',
  )
  const changed = await forecast(reserving('old', 7 * GB))
  t.match(changed, { Replaced: 1, Placed: [{ Tasks: 1 }], Unplaced: [] }, 'its old task makes room')
  const everywhere = spec('agent', { Mode: { Global: {} } })
  t.match(await forecast(everywhere), { Wanted: 2, Placed: [{ Tasks: 1 }, { Tasks: 1 }] })
  const agent = spec('foreign', { Mode: { Global: {} } })
  const Placement = { Platforms: [{ OS: 'linux', Architecture: 's390x' }] }
  const foreign = { ...agent, TaskTemplate: { ...agent.TaskTemplate, Placement } }
  t.match(await forecast(foreign), { Wanted: 2, Unplaced: [{ Reason: /platform/ }] })
  const Mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } }
  t.match(await forecast(spec('job', { Mode })), { Wanted: 2, Replaced: 2 })
  const unset = { ReplicatedJob: { MaxConcurrent: 0, TotalCompletions: 5 } }
  t.match(await forecast(spec('job', { Mode: unset })), { Wanted: 1 }, 'as the orchestrator has it')
  t.match(await forecast(spec('none', replicas(0))), { Wanted: 0, Placed: [], Unplaced: [] })
  await t.rejects(forecast({ Name: 'x' }), {
    code: 'INVALID_ARGUMENT',
    message: /mismatched Runtime/,
  })
  await t.rejects(forecast(spec('x', replicas(1e6))), { message: /more than 20000 tasks/ })
})

t.test('slots with gaps, jobs, and nodes out of use', async (t) => {
  const { store, control } = newControl()
  await store.update((tx) => {
    for (const index of [1, 2, 3]) tx.put('node', sampleNode(`n${index}`, index))
  })
  const run = async (
    name: string,
    change: Record<string, unknown>,
    seats: Partial<Task>[],
    next = change,
  ) => {
    const { ID } = await control.createService(spec(name, change))
    await store.update((tx) => {
      const { Spec, Swarmctl } = tx.get('service', ID)!
      for (const seat of seats)
        tx.put(
          'task',
          sampleTask(`${name}-${seat.Slot ?? seat.NodeID}`, ID, {
            ...seat,
            Spec: Spec.TaskTemplate,
            Status: { Timestamp: '', State: 'running', Message: '' },
            Swarmctl: {
              ...sampleTask('', '').Swarmctl,
              SpecVersion: Swarmctl.SpecVersion,
              Endpoint: { Mode: 'vip' },
            },
          }),
        )
    })
    const body = { Services: [spec(name, next)] }
    const [answer] = await control.forecast(body)
    return [answer?.Replaced, answer?.Placed.reduce((sum, { Tasks }) => sum + Tasks, 0)]
  }
  const two = [
    { Slot: 2, NodeID: 'n1' },
    { Slot: 3, NodeID: 'n2' },
  ]
  t.strictSame(await run('web', replicas(2), two), [0, 2], 'the first was scaled away')
  const Mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } }
  const work = [
    { Slot: 0, NodeID: 'n1' },
    { Slot: 1, NodeID: 'n2' },
  ]
  t.strictSame(await run('job', { Mode }, work), [2, 2], 'a job is run anew')
  const scheduled = { Mode, Swarmctl: { Schedule: { Cron: '@daily' } } }
  t.strictSame(await run('nightly', scheduled, work), [0, 2], 'but not by its schedule')
  const later = {
    ...scheduled,
    Labels: { a: 'b' },
    TaskTemplate: { ContainerSpec: { Image: 'x' } },
  }
  t.strictSame(await run('weekly', scheduled, work, later), [0, 2], 'its run goes on')
  await store.update((tx) => {
    const node = tx.get('node', 'n1')!
    tx.put('node', { ...node, Spec: { ...node.Spec, Availability: 'drain' } })
  })
  const everywhere = ['n1', 'n2', 'n3'].map((NodeID) => ({ NodeID }))
  t.strictSame(await run('each', { Mode: { Global: {} } }, everywhere), [0, 2])
})

t.test('a secret’s digest is told, its data is not', async (t) => {
  const { store, control } = newControl()
  await store.update((tx) => tx.put('secret', sampleSecret('s1', 'key')))
  const secret = await control.getSecret('key')
  t.equal(secret.Spec.Data, undefined)
  t.equal(
    secret.Swarmctl?.Digest,
    '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b',
  )
  t.strictSame(await control.listSecrets(), [secret])
})
