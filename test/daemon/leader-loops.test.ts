import t from 'tap'
import { unavailable } from '../../src/api/errors.ts'
import { LeaderLoops } from '../../src/daemon/leader-loops.ts'
import { Bench } from '../support/dispatcher/bench.ts'
import { sampleCluster, sampleNode, sampleService } from '../support/objects.ts'

t.test('agents are sent away at once, also while a write is never confirmed', async (t) => {
  const b = new Bench()
  await b.store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', sampleNode('n1', 1))
  })
  const { store, dispatcher, clock, log } = b
  const loops = new LeaderLoops(
    {
      ...{ store, dispatcher, clock, log },
      group: { members: () => [] } as never,
      newId: () => `new${Math.random()}`,
      notify: () => {},
    },
    { selfId: 'm1' },
  )
  loops.start()
  const agent = b.connect('n1')
  await b.settle()
  t.equal(agent.all('session').length, 1)

  const propose = b.proposer.propose.bind(b.proposer)
  const pending: ((error: Error) => void)[] = []
  await b.store.update((tx) => {
    tx.put('service', sampleService('web1', 'web'))
    b.proposer.propose = (command) => {
      b.proposer.propose = () => new Promise((_, reject) => pending.push(reject))
      return propose(command)
    }
  })
  await b.settle()
  t.ok(pending.length > 0, 'the loops write')
  let isStopped = false
  const stopped = loops.stop().then(() => {
    isStopped = true
  })
  await b.settle()
  t.equal(isStopped, false, 'the loops wait')
  t.equal(agent.all('redirect').length, 1)
  t.equal(await agent.ended, 'ended')
  b.proposer.propose = () => Promise.reject(unavailable('not the leader'))
  for (const reject of pending) reject(unavailable('not the leader'))
  await stopped
})
