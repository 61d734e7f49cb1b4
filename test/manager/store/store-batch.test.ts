import t from 'tap'
import { SwarmctlError } from '../../../src/api/errors.ts'
import { Store } from '../../../src/manager/store/store.ts'
import type { Tx } from '../../../src/manager/store/tx.ts'
import { clock, newStore } from '../../support/new-store.ts'
import { sampleNode, sampleSecret, sampleTask } from '../../support/objects.ts'

t.test('batch splits by count and by size, and every change takes effect', async (t) => {
  const { store, proposer } = newStore()
  await store.batch(
    Array.from({ length: 450 }, (_, i) => (tx) => tx.put('task', sampleTask(`t${i}`, 's1'))),
  )
  t.equal(store.view().list('task').length, 450)
  t.equal(proposer.log.length, 3)
  const Data = 'A'.repeat(600_000)
  await store.batch(
    ['a', 'b', 'c', 'd', 'e'].map((name) => (tx) => {
      const secret = sampleSecret(name, name)
      tx.put('secret', { ...secret, Spec: { ...secret.Spec, Data } })
    }),
  )
  t.equal(store.view().list('secret').length, 5)
  t.ok(proposer.log.every(({ command }) => command.length <= 1.5 * 1024 * 1024))
  const huge = sampleSecret('z', 'z')
  await t.rejects(
    store.update((tx) =>
      tx.put('secret', { ...huge, Spec: { ...huge.Spec, Data: 'A'.repeat(2 ** 21) } }),
    ),
    { code: 'INVALID_ARGUMENT' },
  )
})

t.test('a change of a batch that is refused keeps no other from being made', async (t) => {
  const { store } = newStore()
  const secret = (id: string, name: string, Data = '') => {
    const sample = sampleSecret(id, name)
    return { ...sample, Spec: { ...sample.Spec, Data } }
  }
  await store.update((tx) => tx.put('secret', secret('old', 'taken')))
  const changes = [
    secret('a', 'a'),
    secret('b', 'taken'),
    secret('c', 'c'),
    secret('d', 'huge', 'A'.repeat(2 ** 21)),
    secret('e', 'e'),
  ].map((object) => (tx: Tx) => {
    // A part of it is written before the refusal.
    tx.put('node', sampleNode(`n-${object.ID}`, object.ID.charCodeAt(0)))
    tx.put('secret', object)
  })
  const refused: string[] = []
  await store.batch(changes, (at, { code, message }) => refused.push(`${at} ${code} ${message}`))
  const ids = (kind: 'secret' | 'node') =>
    store
      .view()
      .list(kind)
      .map(({ ID }) => ID)
      .sort()
  t.same(ids('secret'), ['a', 'c', 'e', 'old'])
  t.same(ids('node'), ['n-a', 'n-c', 'n-e'], 'all of a change or nothing')
  t.match(refused, [
    /^1 ALREADY_EXISTS secret taken already exists$/,
    /^3 INVALID_ARGUMENT the change is too large/,
  ])

  const again = newStore()
  await again.store.update((tx) => tx.put('secret', secret('old', 'taken')))
  await t.rejects(again.store.batch(changes), { code: 'ALREADY_EXISTS' }, 'the first, in the end')
  t.equal(again.store.view().list('secret').length, 4)
})

t.test('a change of a batch that is refused only when it is committed', async (t) => {
  const { store } = newStore()
  const put = (id: string, name: string) => (tx: Tx) => tx.put('secret', sampleSecret(id, name))
  const refused: number[] = []
  // Under way before the batch looks at the state, and applied before it.
  const first = store.update(put('first', 'two'))
  const batch = store.batch([put('a', 'one'), put('b', 'two'), put('c', 'three')], (at) => {
    refused.push(at)
  })
  await Promise.all([first, batch])
  t.same(refused, [1])
  t.same(
    store
      .view()
      .list('secret')
      .map(({ ID }) => ID)
      .sort(),
    ['a', 'c', 'first'],
  )
})

t.test('what is no refusal ends a batch', async (t) => {
  const { state } = newStore()
  const noLeader = new SwarmctlError('UNAVAILABLE', 'no leader')
  const proposer = { propose: () => Promise.reject(noLeader), readBarrier: async () => {} }
  const store = new Store({ state, proposer, clock })
  const put = (tx: Tx) => tx.put('secret', sampleSecret('a', 'a'))
  await t.rejects(
    store.batch([put], () => t.fail('it was not refused')),
    { code: 'UNAVAILABLE' },
  )
})
