import t from 'tap'
import type { Service } from '../../../src/api/service.ts'
import type { Store } from '../../../src/manager/store/store.ts'
import {
  assign,
  end,
  network,
  newAllocator,
  service,
  settle,
  taskOf,
} from '../../support/allocating.ts'
import { sampleCluster, sampleNode } from '../../support/objects.ts'

const withOwn = (owner: Service, Swarmctl: object): Service => ({
  ...owner,
  Spec: {
    ...owner.Spec,
    TaskTemplate: {
      ...owner.Spec.TaskTemplate,
      Networks: (owner.Spec.TaskTemplate.Networks ?? []).map((one) => ({ ...one, Swarmctl })),
    },
  },
})

const attachments = (store: Store, id: string) => store.view().get('task', id)?.NetworksAttachments

/** A task `t-ID` of a service `ID`, allocated but without a node. */
const start = async (store: Store, owner: Service): Promise<void> => {
  await store.update((tx) => {
    tx.put('service', owner)
    tx.put('task', taskOf(`t-${owner.ID}`, owner))
  })
  await settle(store)
}

t.test('a task gets the address and the names that its service asks for', async (t) => {
  const { store, allocator } = newAllocator()
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('network', network('big', '10.5.0.0/16'))
    tx.put('network', network('small', '10.6.0.0/24'))
    tx.put('node', sampleNode('n1', 1))
    tx.put('node', sampleNode('n2', 2))
  })
  allocator.start()
  await settle(store)

  const IPv4Address = '10.5.2.77'
  await start(store, withOwn(service('db', ['big']), { Aliases: ['primary'], IPv4Address }))
  t.strictSame(attachments(store, 't-db')?.[0]?.Aliases, ['alias-db', 'primary'])
  await assign(store, 't-db', 'n1')
  t.strictSame(attachments(store, 't-db')?.[0]?.Addresses, ['10.5.2.77/16'], 'of another’s block')

  await start(store, withOwn(service('again', ['big']), { IPv4Address }))
  await t.rejects(assign(store, 't-again', 'n2'), {
    code: 'FAILED_PRECONDITION',
    message: 'address 10.5.2.77 of network big is in use',
  })
  await end(store, 't-db')
  await assign(store, 't-again', 'n2')
  t.strictSame(attachments(store, 't-again')?.[0]?.Addresses, ['10.5.2.77/16'])

  for (const bad of ['10.5.0.1', '10.5.1.1', '10.5.255.9', '10.9.0.1']) {
    const id = `bad${bad}`
    await start(store, withOwn(service(id, ['big']), { IPv4Address: bad }))
    const text = `network big has no address ${bad} for tasks`
    await t.rejects(assign(store, `t-${id}`, 'n1'), {
      message: bad.startsWith('10.5.')
        ? `${text}: they have 10.5.0.2 to 10.5.254.254 there, but for those that end in .0, .1 and .255; a subnet smaller than a /16, or an IP range, has no such gaps`
        : text,
    })
  }
  await start(store, withOwn(service('flat', ['small']), { IPv4Address: '10.6.0.200' }))
  await assign(store, 't-flat', 'n2')
  t.strictSame(attachments(store, 't-flat')?.[0]?.Addresses, ['10.6.0.200/24'])
  await allocator.stop()
})

for (const prefix of [16, 24])
  t.test(`low addresses of a /${prefix} are left to those that ask for them`, async (t) => {
    const { store, allocator } = newAllocator()
    await store.update((tx) => {
      tx.put('cluster', sampleCluster())
      tx.put('network', network('own', `172.28.0.0/${prefix}`))
      for (const i of [1, 2, 3]) tx.put('node', sampleNode(`n${i}`, i))
    })
    allocator.start()
    await settle(store)
    // As a stack is deployed: a service is created when those before it run.
    for (const [at, id] of ['any', 'a', 'b', 'c', 'd'].entries()) {
      const Own = id === 'any' ? {} : { IPv4Address: `172.28.0.${at + 1}` }
      await start(store, withOwn(service(id, ['own']), Own))
      await assign(store, `t-${id}`, `n${(at % 3) + 1}`)
    }
    t.strictSame(
      ['a', 'b', 'c', 'd'].map((id) => attachments(store, `t-${id}`)?.[0]?.Addresses),
      [2, 3, 4, 5].map((last) => [`172.28.0.${last}/${prefix}`]),
    )
    await allocator.stop()
  })
