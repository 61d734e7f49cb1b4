import t, { type Test } from 'tap'
import { LookLoop } from '../../../src/manager/orchestrator/look-loop.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleNetwork, sampleNode } from '../../support/objects.ts'
import { settle, VirtualClock } from '../../support/orchestration/virtual-clock.ts'
import { noLog } from '../../support/rpc/cluster-fixture.ts'

const PERIOD_MS = 1000

const setUp = (t: Test) => {
  const clock = new VirtualClock()
  const state = new StoreState()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  const seen = { looks: 0, atOnce: 0, warnings: [] as unknown[][] }
  /** What a look waits for, or fails with. */
  const work = { run: async (): Promise<void> => {} }
  let underWay = 0
  const look = async (): Promise<void> => {
    seen.looks++
    seen.atOnce = Math.max(seen.atOnce, ++underWay)
    try {
      await work.run()
    } finally {
      underWay--
    }
  }
  const log = { ...noLog, warn: (...line: unknown[]) => void seen.warnings.push(line) }
  const loop = new LookLoop(
    { store, clock, log, look },
    { kinds: ['node'], periodMs: PERIOD_MS, failure: 'held up' },
  )
  t.teardown(() => loop.stop())
  let count = 0
  const addNode = () => store.update((tx) => tx.put('node', sampleNode(`n${++count}`, count)))
  return { clock, store, loop, seen, work, addNode }
}

t.test('it looks at once, when what it watches changes, and every period', async (t) => {
  const { clock, store, loop, seen, addNode } = setUp(t)
  await addNode()
  t.equal(seen.looks, 0, 'not before it is started')
  loop.start()
  await settle()
  t.equal(seen.looks, 1)
  await addNode()
  await settle()
  t.equal(seen.looks, 2)
  await store.update((tx) => tx.put('network', sampleNetwork('net', 'net')))
  await settle()
  t.equal(seen.looks, 2, 'other objects are nothing to it')
  await clock.advance(3 * PERIOD_MS)
  t.equal(seen.looks, 5)
})

t.test('one look at a time, and once more for all that came meanwhile', async (t) => {
  const { loop, seen, work, addNode } = setUp(t)
  const gate = Promise.withResolvers<void>()
  work.run = () => gate.promise
  loop.start()
  await addNode()
  await addNode()
  loop.trigger()
  await settle()
  t.equal(seen.looks, 1)
  gate.resolve()
  await settle()
  t.equal(seen.looks, 2)
  t.equal(seen.atOnce, 1)
})

t.test('a look may ask for the next one', async (t) => {
  const { loop, seen, work } = setUp(t)
  work.run = async () => {
    if (seen.looks < 4) loop.trigger()
  }
  loop.start()
  await settle()
  t.equal(seen.looks, 4)
})

t.test('a look that fails is told, and repeated at the next change or period', async (t) => {
  const { clock, loop, seen, work, addNode } = setUp(t)
  work.run = async () => {
    throw new Error('no leader')
  }
  loop.start()
  await settle()
  t.equal(seen.looks, 1)
  t.strictSame(seen.warnings, [[{ error: 'no leader' }, 'held up']])
  await addNode()
  await settle()
  t.equal(seen.looks, 2)
  await clock.advance(10 * PERIOD_MS)
  t.equal(seen.looks, 12, 'as often as ever, however often it failed')
})

t.test('after a stop no look begins', async (t) => {
  const { clock, loop, seen, work, addNode } = setUp(t)
  const gate = Promise.withResolvers<void>()
  work.run = () => gate.promise
  loop.start()
  await addNode()
  loop.stop()
  gate.resolve()
  await clock.advance(3 * PERIOD_MS)
  await addNode()
  t.equal(seen.looks, 1, 'not even the one that was asked for before')
  loop.trigger()
  await settle()
  t.equal(seen.looks, 1)
  loop.start()
  await settle()
  t.equal(seen.looks, 2, 'until it is started again')
})
