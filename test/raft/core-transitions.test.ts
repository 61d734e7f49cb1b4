// What etcd's raft_test.go and raft_snap_test.go have around a change in the middle of another one: names in brackets are theirs.

import fc from 'fast-check'
import t from 'tap'
import { RaftCore } from '../../src/raft/core.ts'
import { createEntry, type Entry } from '../../src/raft/entry.ts'
import type { MemberChange } from '../../src/raft/membership.ts'
import { encodeMembershipCommand } from '../../src/raft/membership-codec.ts'
import {
  bytes,
  CoreNetwork,
  command,
  coreOf,
  Driver,
  membershipOf,
} from '../support/raft/core-network.ts'

const IDS = ['a', 'b', 'c']
const ALL = { to: 99, heldTo: 99, keepEntriesMax: 0, keepBytesMax: 0 }

const change = (network: CoreNetwork, ...changes: MemberChange[]) =>
  network.get('a').core.proposeMembership({ kind: 'change', changes })

/** Four nodes on the way from voters a, b, c to a, b, d: joint, and everybody knows it. */
function joint(): CoreNetwork {
  const network = new CoreNetwork(['a', 'b', 'c', 'd'], { voters: IDS, learners: ['d'] }).elect('a')
  // d begins with a snapshot, as any newcomer does.
  network.tickAll(5)
  if (network.get('a').snapshotsToSend.length > 0) network.sendSnapshot('a', 'd')
  change(network, { kind: 'add-voter', id: 'd' }, { kind: 'remove', id: 'c' })
  return network
}

const isJoint = ({ core }: Driver) => core.membership.outgoing.length > 0

t.test(
  'a successor that needs a snapshot takes over after it (TestLeaderTransferAfterSnapshot)',
  async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c').propose('a', 'x').propose('a', 'y')
    const leader = network.get('a')
    leader.core.compact(ALL)
    network.heal()
    t.ok(leader.core.transferLeadership('c'))
    network.tickAll(8)
    t.same(leader.snapshotsToSend, ['c'])
    network.sendSnapshot('a', 'c')
    t.same(network.leaders(), ['c'])
  },
)

t.test(
  'whoever hands over gives way to a later term, and forgets whom to (TestLeaderTransferReceiveHigherTermVote)',
  async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c')
    const leader = network.get('a')
    t.ok(leader.core.transferLeadership('c'))
    const log = { lastIndex: leader.core.log.last.index, lastTerm: 1 }
    leader.step({ kind: 'vote', from: 'b', to: 'a', term: 2, force: true, ...log })
    t.match(leader.core, { role: 'follower', term: 2, transferee: null })
  },
)

t.test(
  'another successor may be named meanwhile (TestLeaderTransferSecondTransferToAnotherNode)',
  async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c')
    const { core } = network.get('a')
    t.ok(core.transferLeadership('c'))
    t.ok(core.transferLeadership('b'))
    network.run()
    t.same(network.leaders(), ['b'])
  },
)

t.test(
  'a successor that is removed meanwhile is none any more (TestLeaderTransferRemoveNode)',
  async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c')
    t.match(change(network, { kind: 'remove', id: 'c' }), { kind: 'proposed' })
    const { core } = network.get('a')
    t.ok(core.transferLeadership('c'))
    network.run()
    t.equal(core.transferee, null)
    t.match(core.propose([bytes('x')]), { kind: 'proposed' })
  },
)

t.test('who is no member takes nothing over (TestTransferNonMember)', async (t) => {
  const outsider = new Driver(coreOf('z', { voters: IDS }))
  outsider.step({ kind: 'timeout-now', from: 'a', to: 'z', term: 1 }).settle()
  for (const from of ['b', 'c']) {
    outsider.step({ kind: 'vote-response', from, to: 'z', term: 1, granted: true }).settle()
  }
  t.match(outsider.core, { role: 'follower', term: 1 })
})

t.test(
  'an own vote that becomes durable after the election is lost counts nothing (TestCandidateSelfVoteAfterLostElection)',
  async (t) => {
    const driver = new Driver(coreOf('a', { voters: IDS }))
    driver.step({ kind: 'timeout-now', from: 'b', to: 'a', term: 1 })
    t.equal(driver.core.role, 'candidate')
    driver.step({ kind: 'heartbeat', from: 'b', to: 'a', term: 2, commit: 0, readRound: 0 })
    driver.settle()
    t.match(driver.core, { role: 'follower', term: 2, leader: 'b' })
  },
)

t.test('§6.4 reads in the middle of something', async (t) => {
  t.test('a joint configuration needs both majorities', async (t) => {
    const network = joint()
    const leader = network.get('a')
    // Only c answers: a majority of the old voters alone.
    network.cut('a', 'b').cut('a', 'd').run()
    t.ok(isJoint(leader))
    leader.core.readIndex(1)
    network.tickAll(8)
    t.same(leader.reads, [])
    network.heal().tickAll(8)
    t.match(leader.reads, [{ token: 1 }])
  })

  t.test('while leadership is handed over the leader still answers', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').propose('a', 'x').cut('c')
    const leader = network.get('a')
    t.ok(leader.core.transferLeadership('c'))
    leader.core.readIndex(1)
    network.run()
    t.same(leader.reads, [{ token: 1, index: 2 }])
  })

  t.test(
    'a read of a leader that stepped down is answered by nobody, until it is asked anew',
    async (t) => {
      const network = new CoreNetwork(IDS).elect('a').cut('a')
      const old = network.get('a')
      old.core.readIndex(1)
      network.tickAll(60)
      const next = network.leaders()[0] ?? ''
      network.propose(next, 'x').heal().tickAll(10)
      t.same([old.core.role, old.core.leader], ['follower', next])
      t.same(old.reads, [])
      old.core.readIndex(1)
      network.run()
      t.same(old.reads, [{ token: 1, index: network.get(next).core.log.committed }])
    },
  )

  t.test('alone, beside learners, no answer is needed (TestReadOnlyWithLearner)', async (t) => {
    const network = new CoreNetwork(['a', 'b'], { voters: ['a'], learners: ['b'] })
      .elect('a')
      .cut('a')
    const leader = network.get('a')
    leader.core.readIndex(1)
    leader.collect()
    t.same(leader.reads, [{ token: 1, index: 1 }])
  })
})

t.test('§6.2 learners and one half of a joint configuration keep nobody in office', async (t) => {
  const learning = new CoreNetwork(['a', 'b', 'c', 'd'], { voters: IDS, learners: ['d'] })
  learning.elect('a').cut('a', 'b').cut('a', 'c').tickAll(45)
  t.not(learning.get('a').core.role, 'leader')
  const network = joint().cut('a', 'b').cut('a', 'd').run()
  t.ok(isJoint(network.get('a')))
  for (let tick = 0; tick < 45; tick += 1) network.get('a').tick()
  network.run()
  t.not(network.get('a').core.role, 'leader')
})

t.test('§4.3 the next leader ends a joint change that its leader could not', async (t) => {
  const network = joint()
  const [old, next] = [network.get('a'), network.get('b')]
  // The change is committed, and b hears of it; then a is gone before anybody gets its end.
  for (let turns = 0; !isJoint(next) && turns < 20; turns += 1) {
    for (const driver of [old, next, network.get('c'), network.get('d')]) {
      driver.settle()
      for (const message of driver.take()) {
        const ends =
          message.kind === 'append' &&
          message.entries.some(({ index }) => index > old.core.log.committed)
        if (!ends || !isJoint(old)) network.get(message.to).step(message)
      }
    }
  }
  t.ok(isJoint(next), 'the next leader is in the joint configuration')
  network.cut('a').elect('b')
  network.tickAll(25)
  t.same(
    network.leaders().filter((id) => id !== 'a'),
    ['b'],
  )
  t.match(next.core.membership, { voters: ['a', 'b', 'd'], outgoing: [], removed: ['c'] })
})

t.test('§4.3 whoever starts in a joint configuration ends it as the leader', async (t) => {
  const membership = { ...membershipOf({ voters: ['a'] }), outgoing: ['a', 'b'] }
  const base = { index: 7, term: 3 }
  const hardState = { term: 3, vote: null, commit: 7 }
  const start = { id: 'a', base, entries: [], applied: 7, membership, hardState, random: () => 0 }
  const driver = new Driver(new RaftCore(start))
  driver.core.campaign()
  driver.settle()
  const answer = { from: 'b', to: 'a', term: 4, granted: true } as const
  driver.step({ kind: 'pre-vote-response', ...answer, commit: 7, commitTerm: 3 }).settle()
  t.equal(driver.core.role, 'candidate', 'b has a say until the change is over')
  driver.step({ kind: 'vote-response', ...answer }).settle()
  const matched = (index: number) =>
    driver
      .step({
        ...{ kind: 'append-response', from: 'b', to: 'a', term: 4, index },
        ...{ rejected: false, hintIndex: 0, hintTerm: 0 },
      })
      .settle()
  matched(8)
  t.match(driver.core.membership, { outgoing: ['a', 'b'] })
  matched(9)
  t.match(driver.core.membership, { voters: ['a'], outgoing: [], removed: ['b'] })
})

t.test(
  'a change that a new leader found in its log comes first (TestNewLeaderPendingConfig)',
  async (t) => {
    const add = { kind: 'change', changes: [{ kind: 'add-learner', id: 'd' }] } as const
    const remove = { kind: 'change', changes: [{ kind: 'remove', id: 'c' }] } as const
    const entries = [createEntry({ index: 1, term: 1 }, 'membership', encodeMembershipCommand(add))]
    const driver = new Driver(coreOf('a', { voters: IDS, entries, term: 1 }))
    driver.step({ kind: 'timeout-now', from: 'b', to: 'a', term: 1 }).settle()
    driver.step({ kind: 'vote-response', from: 'b', to: 'a', term: 2, granted: true }).settle()
    t.equal(driver.core.role, 'leader')
    t.match(driver.core.proposeMembership(remove), { kind: 'refused' })
    const hints = { rejected: false, hintIndex: 0, hintTerm: 0 }
    const matched = { kind: 'append-response', from: 'b', to: 'a', term: 2, index: 2 } as const
    driver.step({ ...matched, ...hints }).settle()
    t.same(driver.core.membership.learners, ['d'], 'the old change took effect')
    t.match(driver.core.proposeMembership(remove), { kind: 'proposed' })
  },
)

t.test(
  'a snapshot in the middle of a joint change brings it along (TestRestoreWithVotersOutgoing)',
  async (t) => {
    const driver = new Driver(coreOf('b', { voters: [] }))
    const membership = { ...membershipOf({ voters: ['a', 'b'] }), outgoing: ['a', 'c'] }
    const meta = { index: 9, term: 2, membership }
    const fromA = { from: 'a', to: 'b', term: 3 } as const
    driver.step({ kind: 'snapshot', ...fromA, meta }).settle()
    t.ok(isJoint(driver))
    const leave = encodeMembershipCommand({ kind: 'leave-joint' })
    const entries = [createEntry({ index: 10, term: 3 }, 'membership', leave)]
    const append = { kind: 'append', prevIndex: 9, prevTerm: 2, commit: 10, entries } as const
    driver.step({ ...append, ...fromA }).settle()
    t.match(driver.core.membership, { voters: ['a', 'b'], outgoing: [], removed: ['c'] })
  },
)

t.test('limits in bytes hold as those in messages do (TestMsgAppFlowControlFull)', async (t) => {
  const options = { appendBytesMax: 100, inflightBytesMax: 250, inflightMessagesMax: 100 }
  const network = new CoreNetwork(IDS, { options }).elect('a').cut('a', 'b')
  const leader = network.get('a')
  for (let at = 0; at < 20; at += 1) leader.core.propose([new Uint8Array(70)])
  leader.settle()
  const sent = leader.take().filter(({ kind, to }) => kind === 'append' && to === 'b')
  t.equal(sent.length, 3, 'three of 91 bytes are more than 250')
  network.heal().tickAll(30)
  t.equal(network.get('b').core.log.last.index, 21)
})

t.test(
  '§3.5 whatever two logs hold, one probe for each term is enough (TestFastLogRejection)',
  async () => {
    const tail = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 })),
      {
        maxLength: 6,
      },
    )
    /** Runs of entries; each raises the term. */
    const grow = (prefix: readonly Entry[], runs: readonly [number, number][]): Entry[] => {
      const log = [...prefix]
      let term = prefix.at(-1)?.term ?? 0
      for (const [raise, length] of runs) {
        term += raise
        for (let left = length; left > 0; left -= 1) log.push(command(log.length + 1, term))
      }
      return log
    }
    const property = fc.property(tail, tail, tail, (prefix, mine, theirs) => {
      const common = grow([], prefix)
      // Terms of one parity each: the same position never holds the same term in both, as no two leaders have one.
      const odd = grow(common, mine).map((e, at) =>
        at < common.length ? e : remade(e, 2 * e.term),
      )
      const even = grow(common, theirs).map((e, at) =>
        at < common.length ? e : remade(e, 2 * e.term + 1),
      )
      const term = 100
      const leader = new Driver(coreOf('a', { voters: ['a', 'b'], entries: odd, term }))
      const other = new Driver(coreOf('b', { voters: ['a', 'b'], entries: even, term }))
      // b grants although its log may be newer: only what follows the election counts here.
      leader.step({ kind: 'timeout-now', from: 'b', to: 'a', term }).settle()
      leader.step({ kind: 'vote-response', from: 'b', to: 'a', term: 101, granted: true }).settle()
      let rejections = 0
      for (let turn = 0; turn < 60; turn += 1) {
        for (const message of leader.take()) if (message.kind !== 'vote') other.step(message)
        other.settle()
        for (const message of other.take()) {
          if (message.kind === 'append-response' && message.rejected) rejections += 1
          leader.step(message)
        }
        leader.settle()
      }
      const terms = Math.min(mine.length, theirs.length) + 1
      return rejections <= terms && other.core.log.last.index === leader.core.log.last.index
    })
    fc.assert(property, { numRuns: 300 })
  },
)

function remade({ index, data }: Entry, term: number): Entry {
  return createEntry({ index, term }, 'command', data)
}
