// After a fatal error nothing of a node runs on, and nobody waits for it.

import t, { type Test } from 'tap'
import type { Clock } from '../../src/raft/clock.ts'
import { Conditions } from '../../src/raft/conditions.ts'
import { StoppedError } from '../../src/raft/errors.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../src/raft/memory-state-storage.ts'
import { MemoryWal, MemoryWalDisk } from '../../src/raft/memory-wal.ts'
import { RaftNode } from '../../src/raft/node.ts'
import { KeyValueMachine, set, until } from '../support/raft/cluster.ts'
import { systemClock } from '../support/raft/system-clock.ts'

interface Parts {
  readonly voters: readonly string[]
  readonly clock?: Clock
  readonly send?: () => void
}

/** The node `a` of a new cluster, on a disk that can be made to fail. */
function nodeOf(t: Test, { voters, clock = systemClock, send = () => {} }: Parts) {
  const disk = new MemoryWalDisk()
  const fatal: Error[] = []
  const node = new RaftNode(
    {
      ...{ wal: new MemoryWal({ disk, clock: systemClock }), clock, random: Math.random },
      state: new MemoryStateStorage({ disk: new MemoryStateDisk(), clock: systemClock }),
      ...{ transport: { send, onMessage: () => {} }, stateMachine: new KeyValueMachine() },
      ...{ log: { info: () => {}, warn: () => {} }, onFatal: (error) => void fatal.push(error) },
    },
    { id: 'a', initialVoters: voters.map((id) => ({ id, context: new Uint8Array(1) })) },
  )
  t.teardown(() => node.stop())
  return { node, disk, fatal }
}

t.test(
  'what is asked for after a fatal error is refused, and nothing waits for ever',
  async (t) => {
    const { node, disk, fatal } = nodeOf(t, { voters: ['a'] })
    await node.start()
    await until(() => node.status().role === 'leader' || undefined)
    await node.addLearner('b', new Uint8Array(1))
    disk.failing = true
    const over = { code: 'RAFT_STOPPED' }
    await t.rejects(node.propose(set('k', 1)), over)
    t.match(fatal, [{ code: 'RAFT_STORAGE_FAILED' }])
    await t.rejects(node.readBarrier(), over)
    await t.rejects(node.promote('b'), over)
    await t.rejects(node.transferLeadership('b'), over)
    await t.rejects(node.removeNode('b'), over)
  },
)

t.test('a fatal error within a tick ends the ticks', async (t) => {
  let ticking: (() => void) | undefined
  const clock: Clock = {
    defer: (callback) => systemClock.defer(callback),
    after(_, callback) {
      ticking = callback
      return () => {
        ticking = undefined
      }
    },
  }
  const send = () => {
    throw new Error('an invariant is broken')
  }
  const { node, fatal } = nodeOf(t, { voters: ['a', 'b'], clock, send })
  await node.start()
  // It hears of nobody, and asks for votes in the end.
  while (ticking && fatal.length === 0) {
    const tick = ticking
    ticking = undefined
    tick()
  }
  t.match(fatal, [{ message: 'an invariant is broken' }])
  t.equal(ticking, undefined)
})

t.test('a wait that begins when the others have been ended ends as well', async (t) => {
  const conditions = new Conditions()
  const before = conditions.wait(() => false, 9)
  conditions.rejectAll(new StoppedError())
  await t.rejects(before, { code: 'RAFT_STOPPED' })
  await t.rejects(
    conditions.wait(() => false, 9),
    { code: 'RAFT_STOPPED' },
  )
  await conditions.wait(() => true, 9)
})
