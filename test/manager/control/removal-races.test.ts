/** What is removed, and who begins to use it at the same time: one of the two wins, whichever is first. */
import t, { type Test } from 'tap'
import { newControl, spec, tcp } from '../../support/control/control-fixture.ts'
import { sampleCluster, sampleNetwork, sampleNode, sampleTask } from '../../support/objects.ts'

/** Turns of the microtask queue by which one is sent before the other: more than either needs from its first look to its end. */
const LEAD_MAX = 20

const NODES = 30

const start = async () => {
  const { control, store } = newControl()
  const made = sampleNetwork('app', 'app')
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    for (let i = 1; i <= NODES; i++) tx.put('node', sampleNode(`n${i}`, i))
    tx.put('network', {
      ...made,
      Spec: { ...made.Spec, Attachable: true },
      IPAMOptions: { Configs: [{ Subnet: '10.5.0.0/16' }] },
      Swarmctl: { ...made.Swarmctl, Index: 5 },
    })
  })
  const attach = (nodeId = 'n1') =>
    control.attachContainer(nodeId, {
      ...{ containerId: 'c1', name: 'alone', network: 'app', address: '', isFixed: false },
      ...{ isRunning: false, aliases: [] },
    })
  const end = (id: string) => store.update((tx) => tx.remove('task', id))
  return { control, store, attach, end }
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await null
}

/** Tries every order; answers how often each of the two won. */
const race = async (
  t: Test,
  prepare: () => Promise<{ use(): Promise<unknown>; remove(): Promise<unknown> }>,
): Promise<[used: number, removed: number]> => {
  let [used, removed] = [0, 0]
  for (let lead = -LEAD_MAX; lead <= LEAD_MAX; lead++) {
    const { use, remove } = await prepare()
    const [user, remover] = await Promise.allSettled([
      turns(-lead).then(use),
      turns(lead).then(remove),
    ])
    t.not(user.status, remover.status, `one wins, with a lead of ${lead} turns`)
    if (user.status === 'fulfilled') used += 1
    if (remover.status === 'fulfilled') removed += 1
  }
  return [used, removed]
}

for (const wasAttached of [false, true]) {
  const which = wasAttached ? 'that had containers before' : 'that never had a container'
  t.test(`a network ${which} goes, or gets a container`, async (t) => {
    const won = await race(t, async () => {
      const { control, attach, end } = await start()
      if (wasAttached) await end((await attach()).ID)
      return { use: attach, remove: () => control.removeNetwork('app') }
    })
    t.ok(Math.min(...won) > 0, `each order was there: ${won}`)
  })
}

t.test('a network, a secret or the routing mesh goes, or gets a service', async (t) => {
  const prepare = {
    network: async () => {
      const { control } = await start()
      const TaskTemplate = { ContainerSpec: { Image: 'a' }, Networks: [{ Target: 'app' }] }
      return {
        use: () => control.createService(spec('web', { TaskTemplate })),
        remove: () => control.removeNetwork('app'),
      }
    },
    secret: async () => {
      const { control } = await start()
      const { ID } = await control.createSecret({ Name: 'key', Data: 'a2V5' })
      const Secrets = [{ SecretID: ID, SecretName: 'key', File: { Name: 'key' } }]
      const TaskTemplate = { ContainerSpec: { Image: 'a', Secrets } }
      return {
        use: () => control.createService(spec('web', { TaskTemplate })),
        remove: () => control.removeSecret(ID),
      }
    },
    mesh: async () => {
      const { control, store } = await start()
      const mesh = sampleNetwork('mesh', 'ingress')
      const host = sampleNetwork('host', 'host')
      await store.update((tx) => {
        tx.put('network', { ...mesh, Spec: { ...mesh.Spec, Ingress: true } })
        const Labels = { 'com.docker.swarm.predefined': 'true' }
        tx.put('network', { ...host, Spec: { ...host.Spec, Labels } })
      })
      return {
        use: () => control.createService(spec('web', tcp(80))),
        remove: () => control.removeNetwork('ingress'),
      }
    },
  }
  for (const [what, prepared] of Object.entries(prepare)) {
    const won = await race(t, prepared)
    t.ok(Math.min(...won) > 0, `${what}: each order was there: ${won}`)
  }
})

t.test('a network can be removed while tasks change all the time', async (t) => {
  const { control, store, attach, end } = await start()
  await end((await attach()).ID)
  let isBusy = true
  const keepChanging = async (_: unknown, i: number): Promise<void> => {
    await turns(i)
    while (isBusy)
      await store.update((tx) => tx.put('task', sampleTask(`t${i}`, 's1', { Slot: i })))
  }
  // So many that one is written between any other's look and its end.
  const changing = Promise.all(Array.from({ length: NODES }, keepChanging))
  await turns(NODES)
  await control.removeNetwork('app').finally(() => {
    isBusy = false
  })
  await changing
  t.equal(store.view().get('network', 'app'), undefined)
})

t.test('containers of many nodes get on a new network at once', async (t) => {
  const { store, attach } = await start()
  await Promise.all(Array.from({ length: NODES }, (_, i) => attach(`n${i + 1}`)))
  t.equal(store.view().list('task').length, NODES)
})
