import fc from 'fast-check'
import t from 'tap'
import type { ObjectChange } from '../../../src/api/object.ts'
import { encodeTransaction, type KindedObject } from '../../../src/manager/store/codec.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { THIS_TRANSACTION } from '../../../src/manager/store/this-transaction.ts'
import { clock, newStore } from '../../support/new-store.ts'
import { sampleNode, sampleSecret, sampleService, sampleTask } from '../../support/objects.ts'
import { restoreState } from '../../support/restore-state.ts'

t.test('a created object has version and times, and is found by every index', async (t) => {
  const { store } = newStore()
  await store.update((tx) => {
    tx.put('service', sampleService('s1', 'Web'))
    tx.put('task', sampleTask('t1', 's1', { NodeID: 'n1' }))
    t.equal(tx.byName('service', 'web')?.ID, 's1', 'a transaction reads its own writes')
    t.equal(tx.tasksByNode('n1').length, 1)
  })
  const view = store.view()
  t.match(view.get('service', 's1'), {
    Version: { Index: 1 },
    CreatedAt: '2023-11-14T22:13:20.000Z',
    UpdatedAt: '2023-11-14T22:13:20.000Z',
  })
  t.equal(view.byName('service', 'WEB')?.ID, 's1', 'names are found without regard to case')
  t.equal(view.byName('network', 'web'), undefined)
  for (const tasks of [
    view.tasksByService('s1'),
    view.tasksByNode('n1'),
    view.tasksBySlot('s1', 1),
  ])
    t.equal(tasks[0]?.ID, 't1')
  await store.update((tx) => tx.put('task', { ...tx.get('task', 't1')!, NodeID: 'n2' }))
  t.equal(view.tasksByNode('n1').length, 0, 'an index follows a change')
  t.equal(view.tasksByNode('n2')[0]?.Version.Index, 2)
  await store.update((tx) => tx.remove('task', 't1'))
  t.equal(view.tasksByService('s1').length, 0)
  t.equal(view.list('task').length, 0)
})

t.test('stored objects cannot be changed in place', async (t) => {
  const { store } = newStore()
  await store.update((tx) => tx.put('service', sampleService('s1', 'web')))
  t.throws(() => {
    store.view().get('service', 's1')!.Spec.Labels.a = 'b'
  }, TypeError)
})

t.test(
  'of two concurrent creations with one name the second fails and writes nothing',
  async (t) => {
    const { store, proposer } = newStore()
    const create = (id: string, name: string) =>
      store.update((tx) => {
        tx.put('service', sampleService(id, name))
        tx.put('secret', sampleSecret(`secret-of-${id}`, `secret-of-${id}`))
      })
    const [first, second] = await Promise.allSettled([create('s1', 'web'), create('s2', 'WEB')])
    t.equal(first.status, 'fulfilled')
    t.match(second, { status: 'rejected', reason: { code: 'ALREADY_EXISTS' } })
    t.equal(proposer.log.length, 2, 'both were proposed: apply decided')
    t.same(
      store
        .view()
        .list('secret')
        .map((s) => s.ID),
      ['secret-of-s1'],
    )
  },
)

t.test('concurrent changes of one object all take effect, in some order', async (t) => {
  const { store } = newStore()
  await store.update((tx) => tx.put('node', sampleNode('n1', 1)))
  await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      store.update((tx) => {
        const node = tx.get('node', 'n1')!
        const Labels = { ...node.Spec.Labels, [`k${i}`]: 'v' }
        tx.put('node', { ...node, Spec: { ...node.Spec, Labels } })
      }),
    ),
  )
  t.equal(Object.keys(store.view().get('node', 'n1')!.Spec.Labels).length, 8)
})

t.test('a touched object fails the transaction when it changes first', async (t) => {
  const { store } = newStore()
  await store.update((tx) => tx.put('secret', sampleSecret('x1', 'password')))
  const runs: boolean[] = []
  const use = store.update((tx) => {
    const exists = tx.get('secret', 'x1') !== undefined
    runs.push(exists)
    if (!exists) throw new Error('the secret is gone')
    tx.touch('secret', 'x1')
    tx.put('service', sampleService('s1', 'web'))
  })
  // Overtake it: a direct proposal applies in between.
  const removal = store.update((tx) => tx.remove('secret', 'x1'))
  await use
  await removal
  t.same(runs, [true], 'first come, first served')

  await store.update((tx) => tx.put('secret', sampleSecret('x1', 'password')))
  const removed = store.update((tx) => tx.remove('secret', 'x1'))
  const late = store.update((tx) => {
    if (tx.get('secret', 'x1') === undefined) throw new Error('the secret is gone')
    tx.touch('secret', 'x1')
    tx.put('service', sampleService('s2', 'api'))
  })
  await removed
  await t.rejects(late, /the secret is gone/)
  t.equal(store.view().get('service', 's2'), undefined)
})

t.test('addresses, ports and numbers belong to one object', async (t) => {
  const { store } = newStore()
  const endpoint = (port: number, address: string) => ({
    Endpoint: {
      Spec: {},
      Ports: [
        {
          Protocol: 'tcp' as const,
          TargetPort: 80,
          PublishedPort: port,
          PublishMode: 'ingress' as const,
        },
      ],
      VirtualIPs: [{ NetworkID: 'net', Addr: address }],
    },
  })
  await store.update((tx) => {
    tx.put('service', sampleService('s1', 'a', endpoint(8080, '10.0.0.2/16')))
    tx.put('node', sampleNode('n1', 1))
  })
  const refused = async (change: Parameters<typeof store.update>[0]) =>
    t.rejects(store.update(change), { code: 'FAILED_PRECONDITION' })
  await refused((tx) => tx.put('service', sampleService('s2', 'b', endpoint(8080, '10.0.0.3/16'))))
  await refused((tx) => tx.put('service', sampleService('s2', 'b', endpoint(8081, '10.0.0.2/16'))))
  await refused((tx) => tx.put('node', sampleNode('n2', 1)))
  const task = sampleTask('t1', 's1', {
    NetworksAttachments: [{ Network: { ID: 'net' } as never, Addresses: ['10.0.0.2/16'] }],
  })
  await refused((tx) => tx.put('task', task))
  t.equal(store.view().claimOwner('address/net', 0x0a000002), 'service/s1')
  await store.update((tx) => {
    tx.remove('service', 's1')
    tx.put('task', task)
  })
  t.equal(store.view().claimOwner('address/net', 0x0a000002), 'task/t1', 'taken over at once')
  await store.update((tx) =>
    tx.put('task', { ...task, Status: { Timestamp: '', State: 'shutdown', Message: '' } }),
  )
  t.equal(store.view().claimOwner('address/net', 0x0a000002), undefined)
  const orderOf = (scope: string, key: number) => store.view().releasedOrder(scope, key) ?? 0
  const port = orderOf('port/tcp', 8080)
  t.ok(port > 0, 'the port’s release is remembered')
  t.ok(orderOf('address/net', 0x0a000002) > port, 'and the address’s after it')
  t.equal(orderOf('node-index', 1), 0)
})

t.test('a service learns the index of its own transaction', async (t) => {
  const { store } = newStore()
  await store.update((tx) => tx.put('node', sampleNode('n1', 1)))
  await store.update((tx) =>
    tx.put('service', sampleService('s1', 'web', { Swarmctl: { SpecVersion: THIS_TRANSACTION } })),
  )
  t.equal(store.view().get('service', 's1')?.Swarmctl.SpecVersion, 2)
})

t.test('watchers see each transaction whole, in order, and may write later', async (t) => {
  const { store } = newStore()
  const seen: string[] = []
  let reaction: Promise<void> | undefined
  const stop = store.watch((changes, index) => {
    seen.push(`${index}: ${changes.map((c) => `${c.action} ${c.kind}`).join(', ')}`)
    if (changes[0]?.kind === 'service' && changes[0].action === 'create') {
      reaction = store.update((tx) => tx.put('task', sampleTask('t1', 's1')))
    }
  })
  await store.update((tx) => {
    tx.put('service', sampleService('s1', 'web'))
    tx.put('node', sampleNode('n1', 1))
  })
  await reaction
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 2))
    tx.remove('service', 's1')
  })
  stop()
  await store.update((tx) => tx.remove('node', 'n1'))
  t.same(seen, [
    '1: create service, create node',
    '2: create task',
    '3: remove service, update node',
  ])
})

t.test('an unknown format is refused, never guessed at', async (t) => {
  const state = new StoreState()
  const bytes = encodeTransaction({ timeMs: 0, expect: [], put: [], remove: [] })
  bytes[0] = 9
  t.throws(() => state.apply(1, bytes), /format 9/)
})

const anyEntry: fc.Arbitrary<KindedObject> = fc.oneof(
  fc.tuple(fc.nat(4), fc.nat(3)).map(([id, name]) => ({
    kind: 'service' as const,
    object: sampleService(`s${id}`, `name${name}`),
  })),
  fc.tuple(fc.nat(9), fc.nat(4), fc.nat(3), fc.boolean()).map(([id, service, address, ended]) => ({
    kind: 'task' as const,
    object: sampleTask(`t${id}`, `s${service}`, {
      NodeID: `n${address}`,
      Status: { Timestamp: '', State: ended ? 'failed' : 'running', Message: '' },
      NetworksAttachments: [
        { Network: { ID: 'net' } as never, Addresses: [`10.0.0.${address}/24`] },
      ],
    }),
  })),
  fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 4 })).map(([id, index]) => ({
    kind: 'node' as const,
    object: sampleNode(`n${id}`, index),
  })),
)

/** Transactions with versions that sometimes hold: about half are refused. */
const anyTransaction = fc.record({
  put: fc.array(anyEntry, { maxLength: 3 }),
  remove: fc.array(
    fc.nat(4).map((id) => ({ kind: 'service' as const, id: `s${id}` })),
    { maxLength: 1 },
  ),
  expectAbsent: fc.option(fc.nat(4)),
})

const contents = (state: StoreState) =>
  (['service', 'task', 'node'] as const).map((kind) =>
    state
      .view()
      .list(kind)
      .toSorted((a, b) => (a.ID < b.ID ? -1 : 1)),
  )

t.test('replaying the log and restoring the writes give the same state', async (t) => {
  const same = () =>
    fc.assert(
      fc.asyncProperty(fc.array(anyTransaction, { maxLength: 30 }), async (transactions) => {
        const state = new StoreState()
        const twin = new StoreState()
        const disk = new Map<string, Uint8Array>()
        transactions.forEach(({ put, remove, expectAbsent }, i) => {
          const expect =
            expectAbsent === null
              ? []
              : [{ kind: 'service' as const, id: `s${expectAbsent}`, version: 0 }]
          const command = encodeTransaction({ timeMs: i, expect, put, remove })
          const { result, writes } = state.apply(i + 1, command)
          const answer = twin.apply(i + 1, command)
          if (JSON.stringify(answer.result) !== JSON.stringify(result)) throw new Error('diverged')
          if (result.kind !== 'committed' && writes.length > 0) throw new Error('a refusal wrote')
          for (const { key, value } of writes) {
            if (value === null) disk.delete(key)
            else disk.set(key, value)
          }
        })
        const restored = new StoreState()
        await restoreState(restored, transactions.length, disk)
        if (JSON.stringify(contents(restored)) !== JSON.stringify(contents(state))) return false
        // The indexes and claims are derived anew: they must agree too.
        const view = restored.view()
        return state
          .view()
          .list('task')
          .every(
            (task) =>
              view.tasksByNode(task.NodeID).some((other) => other.ID === task.ID) &&
              [0, 1, 2, 3].every(
                (n) =>
                  view.claimOwner('address/net', 0x0a000000 + n) ===
                  state.view().claimOwner('address/net', 0x0a000000 + n),
              ),
          )
      }),
      { numRuns: 150 },
    )
  await t.resolves(same())
})

t.test('restore shows watchers the difference', async (t) => {
  const { store, proposer } = newStore()
  const disk = new Map<string, Uint8Array>()
  const source = new StoreState()
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 1))
    tx.put('node', sampleNode('n2', 2))
  })
  await store.update((tx) => {
    tx.put('node', sampleNode('n1', 5))
    tx.remove('node', 'n2')
    tx.put('node', sampleNode('n3', 3))
  })
  for (const { index, command } of proposer.log) {
    for (const { key, value } of source.apply(index, command).writes) {
      if (value === null) disk.delete(key)
      else disk.set(key, value)
    }
  }
  const follower = new StoreState()
  follower.apply(1, proposer.log[0]!.command)
  const seen: ObjectChange[] = []
  follower.watch((changes) => seen.push(...changes))
  await restoreState(follower, 2, disk)
  t.same(
    seen.map((c) => `${c.action} ${(c.object ?? c.old).ID}`),
    ['remove n2', 'update n1', 'create n3'],
  )
  t.equal(follower.view().index, 2)
})

t.test('a state comes in beside the one in use, which goes on until the commit', async (t) => {
  const { store, proposer } = newStore()
  await store.update((tx) => tx.put('node', sampleNode('n1', 1)))
  await store.update((tx) => tx.put('node', sampleNode('n2', 2)))
  await store.update((tx) => tx.put('node', sampleNode('n3', 3)))
  const source = new StoreState()
  const pieces = proposer.log.map(({ index, command }) =>
    source.apply(index, command).writes.map(({ key, value }) => [key, value!] as const),
  )
  const follower = new StoreState()
  const nodes = () =>
    follower
      .view()
      .list('node')
      .map(({ ID }) => ID)
  const seen: string[] = []
  follower.watch((changes) =>
    seen.push(...changes.map((c) => `${c.action} ${(c.object ?? c.old).ID}`)),
  )
  follower.apply(1, proposer.log[0]!.command)
  const dropped = follower.beginRestore(3)
  dropped.add(pieces[2]!)
  const restore = follower.beginRestore(3)
  restore.add(pieces[0]!)
  restore.add(pieces[1]!)
  follower.apply(2, proposer.log[1]!.command)
  restore.add(pieces[2]!)
  t.same(nodes(), ['n1', 'n2'], 'nothing of it is seen before')
  let pauses = 0
  await restore.commit(async () => {
    pauses += 1
    t.throws(() => follower.apply(4, proposer.log[2]!.command), /not seen all/)
  })
  t.ok(pauses > 0)
  t.same(nodes(), ['n1', 'n2', 'n3'])
  t.same(seen, ['create n1', 'create n2', 'create n3'], 'what was applied meanwhile is no news')
  await t.rejects(
    follower.beginRestore(2).commit(async () => {}),
    /goes back/,
  )
})

t.test('who was replaced as the leader refuses nothing by what it remembers', async (t) => {
  // SEED=220 and SEED=355 of the managers' simulation.
  const state = new StoreState()
  const proposer = new MemoryProposer(state)
  const byOthers: (() => Promise<unknown>)[] = []
  const barriers = { count: 0 }
  const store = new Store({
    state,
    clock,
    proposer: {
      propose: (command) => proposer.propose(command),
      // What others acknowledged meanwhile arrives with the barrier.
      readBarrier: async () => {
        barriers.count += 1
        for (const write of byOthers.splice(0)) await write()
      },
    },
  })
  await store.update((tx) => tx.put('secret', sampleSecret('a', 'key')))
  const remove = encodeTransaction({
    ...{ timeMs: 0, expect: [], put: [], remove: [{ kind: 'secret', id: 'a' }] },
  })
  byOthers.push(() => proposer.propose(remove))
  await store.update((tx) => tx.put('secret', sampleSecret('b', 'key')))
  t.equal(store.view().byName('secret', 'key')?.ID, 'b', 'the name was free again')
  await t.rejects(
    store.update((tx) => tx.put('secret', sampleSecret('c', 'key'))),
    { code: 'ALREADY_EXISTS' },
  )
  t.equal(barriers.count, 2, 'each refusal was confirmed, and nothing else')
})
