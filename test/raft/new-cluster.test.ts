import t from 'tap'
import { Cluster, set, until } from '../support/raft/cluster.ts'

// Disaster recovery: a survivor of a lost majority goes on alone.

const encoder = new TextEncoder()
const IDS = ['a', 'b', 'c']

t.test(
  'a survivor goes on alone with everything that reached it, and refuses the others',
  async (t) => {
    const c = new Cluster()
    t.teardown(() => c.close())
    await c.startAll(IDS)
    const leader = await c.leader()
    const writes = Array.from({ length: 50 }, (_, at) => leader.node.propose(set(`k${at}`, at)))
    await Promise.all(writes)
    const survivorId = IDS.find((id) => id !== leader.id) as string
    const others = IDS.filter((id) => id !== survivorId)
    const survivor = c.nodes.get(survivorId)
    await until(() => survivor?.machine.values.size === 50)
    for (const id of others) await c.kill(id)
    await c.stop(survivorId)

    const self = { id: survivorId, context: encoder.encode('host-new') }
    const alone = await c.start(survivorId, { survivor: self })
    await c.leader()
    t.equal(alone.machine.values.size, 50, 'all applied state is kept')
    await alone.node.propose(set('after', 1))
    await alone.node.readBarrier()
    const status = alone.node.status()
    t.strictSame(status.voters, [survivorId])
    t.strictSame(status.learners, [])
    t.same(status.members.get(survivorId)?.context, self.context, 'its new address is known')

    // One at a time: together they are a majority of the old group, and may elect each other before they hear of it.
    for (const id of others) {
      const told = await c.start(id)
      await until(() => told.events.includes('removed'))
      await c.kill(id)
    }
    t.equal(alone.node.status().leaderId, survivorId, 'nobody takes its place')

    await c.stop(survivorId)
    const again = await c.start(survivorId, { survivor: self })
    await c.leader()
    t.equal(
      again.machine.values.get('after'),
      '1',
      'done again, e.g. after a crash, it changes nothing',
    )
    t.strictSame(again.node.status().voters, [survivorId])
  },
)

t.test('what the survivor did not know to be committed counts too', async (t) => {
  const c = new Cluster()
  t.teardown(() => c.close())
  await c.startAll(IDS)
  const leader = await c.leader()
  for (const id of IDS) if (id !== leader.id) c.network.cut(id)
  // Only in the leader's log: whether it was acknowledged nobody can say any more.
  leader.node.propose(set('k', 1)).catch(() => {})
  await until(() => leader.node.status().lastIndex > leader.node.status().committed)
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (const id of IDS) await c.kill(id)
  const self = { id: leader.id, context: encoder.encode('x') }
  const alone = await c.start(leader.id, { survivor: self })
  await c.leader()
  t.equal(alone.machine.values.get('k'), '1')
})

t.test('a learner can go on alone, too', async (t) => {
  const c = new Cluster()
  t.teardown(() => c.close())
  await c.startAll(['a'])
  const leader = await c.leader()
  await leader.node.propose(set('k', 1))
  const learner = await c.start('b')
  await leader.node.addLearner('b', encoder.encode('host-b'))
  await until(() => learner.machine.values.get('k') === '1')
  await c.kill('a')
  await c.stop('b')
  const alone = await c.start('b', { survivor: { id: 'b', context: encoder.encode('host-b') } })
  await c.leader()
  await alone.node.propose(set('k', 2))
  t.strictSame(alone.node.status().voters, ['b'])
})

t.test('whoever got nothing of its cluster yet does not go on alone', async (t) => {
  const c = new Cluster()
  t.teardown(() => c.close())
  await c.start('b')
  await c.stop('b')
  const survivor = { id: 'b', context: encoder.encode('host-b') }
  await t.rejects(c.start('b', { survivor }), { code: 'RAFT_NOTHING_STORED' })
})
