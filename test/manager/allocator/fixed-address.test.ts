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

  for (const bad of ['10.5.0.9', '10.5.1.1', '10.5.255.9', '10.9.0.1']) {
    const id = `bad${bad}`
    await start(store, withOwn(service(id, ['big']), { IPv4Address: bad }))
    await t.rejects(assign(store, `t-${id}`, 'n1'), {
      message: `network big has no address ${bad} for tasks`,
    })
  }
  await start(store, withOwn(service('flat', ['small']), { IPv4Address: '10.6.0.200' }))
  await assign(store, 't-flat', 'n2')
  t.strictSame(attachments(store, 't-flat')?.[0]?.Addresses, ['10.6.0.200/24'])
  await allocator.stop()
})
