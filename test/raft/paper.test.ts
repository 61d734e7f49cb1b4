// One test per rule of the Raft paper that core.test.ts, core-election.test.ts and the scripts don't show already;
// § are sections of the paper "In Search of an Understandable Consensus Algorithm".

import t from 'tap'
import { RaftCore } from '../../src/raft/core.ts'
import type { Entry } from '../../src/raft/entry.ts'
import type { Message } from '../../src/raft/message.ts'
import {
  bytes,
  type CoreSetup,
  command,
  coreOf,
  Driver,
  membershipOf,
  TICKS,
} from '../support/raft/core-network.ts'

const THREE = ['a', 'b', 'c']
const FIVE = ['a', 'b', 'c', 'd', 'e']
const from = (id: string, term: number) => ({ from: id, to: 'a', term })
const heartbeat = (id: string, term: number): Message => ({
  ...{ kind: 'heartbeat', commit: 0, readRound: 0 },
  ...from(id, term),
})
const append = (
  term: number,
  [prevTerm, prevIndex]: readonly [number, number],
  entries: readonly Entry[],
  commit = 0,
): Message => ({ kind: 'append', prevIndex, prevTerm, entries, commit, ...from('b', term) })
const accepted = (id: string, term: number, index: number): Message => ({
  ...{ kind: 'append-response', index, rejected: false, hintIndex: 0, hintTerm: 0 },
  ...from(id, term),
})

function driver(setup: Partial<CoreSetup> = {}): Driver {
  return new Driver(coreOf('a', { voters: THREE, ...setup }))
}

/** Wins the pre-vote; its request for votes is out. */
function candidate(setup: Partial<CoreSetup> = {}): Driver {
  const one = driver(setup)
  one.core.campaign()
  const term = one.core.term + 1
  for (const id of (setup.voters ?? THREE).slice(1)) {
    const committed = { commit: 0, commitTerm: 0 }
    one.step({ kind: 'pre-vote-response', granted: true, ...committed, ...from(id, term) })
  }
  return one.settle()
}

function leader(setup: Partial<CoreSetup> = {}): Driver {
  const one = candidate(setup)
  for (const id of (setup.voters ?? THREE).slice(1)) {
    one.step({ kind: 'vote-response', granted: true, ...from(id, one.core.term) })
  }
  return one.settle()
}

t.test('§5.1 whoever sees a higher term takes it, and follows', async (t) => {
  for (const begin of [driver, candidate, leader]) {
    const one = begin().step(append(9, [0, 0], []))
    t.match(one.core, { role: 'follower', term: 9, leader: 'b' })
  }
})

t.test('§5.1 what comes with an old term changes nothing', async (t) => {
  const one = driver({ term: 5, entries: [command(1, 5)] })
  one.step(append(4, [0, 0], [command(1, 4)], 1)).settle()
  t.match(one.core.log, { last: { index: 1, term: 5 }, committed: 0 })
  t.match(one.take(), [{ kind: 'heartbeat-response', term: 5 }], 'but its sender learns the term')
  one.step({ kind: 'vote', lastIndex: 9, lastTerm: 4, force: true, ...from('c', 4) }).settle()
  t.same(one.take(), [])
})

t.test('§5.2 all begin as followers', async (t) => {
  t.match(driver({ term: 7, vote: 'a' }).core, { role: 'follower', leader: null, term: 7 })
})

t.test('§5.2 a leader sends heartbeats to all', async (t) => {
  const one = leader()
  one.take()
  one.tick(4)
  t.match(one.take(), [
    { kind: 'heartbeat', to: 'b', term: 1 },
    { kind: 'heartbeat', to: 'c', term: 1 },
  ])
})

t.test('§5.2 an election: one more term, its own vote, requests to all others', async (t) => {
  const entries = [command(1, 1), command(2, 2)]
  const one = candidate({ entries, term: 2 })
  t.match(one.core, { role: 'candidate', term: 3 })
  const asked = { kind: 'vote', term: 3, lastIndex: 2, lastTerm: 2, force: false }
  t.match(
    one.take().filter(({ kind }) => kind === 'vote'),
    [
      { ...asked, to: 'b' },
      { ...asked, to: 'c' },
    ],
  )
  one.step({ kind: 'vote', lastIndex: 9, lastTerm: 2, force: false, ...from('b', 3) }).settle()
  t.match(one.take(), [{ granted: false }], 'it has voted for itself')
})

t.test('§5.2 an election that nobody wins is followed by another one', async (t) => {
  const one = candidate()
  one.take()
  one.tick(40)
  t.match(one.core, { role: 'pre-candidate', term: 1 })
  t.match(one.take(), [
    { kind: 'pre-vote', term: 2 },
    { kind: 'pre-vote', term: 2 },
  ])
})

t.test('§5.2 one round of votes: won, lost, or not decided', async (t) => {
  for (const [voters, votes, role] of [
    [['a'], '', 'leader'],
    [THREE, 'y', 'leader'],
    [THREE, 'n', 'candidate'],
    [THREE, 'nn', 'follower'],
    [FIVE, 'yy', 'leader'],
    [FIVE, 'y', 'candidate'],
    [FIVE, 'yn', 'candidate'],
    [FIVE, 'ynyn', 'leader'],
    [FIVE, 'nnn', 'follower'],
    [FIVE, 'ynnn', 'follower'],
    [FIVE, '', 'candidate'],
  ] as const) {
    const one = candidate({ voters: [...voters] })
    ;[...votes].forEach((vote, at) => {
      const voter = voters[at + 1] ?? ''
      one.step({ kind: 'vote-response', granted: vote === 'y', ...from(voter, 1) })
    })
    t.equal(one.core.role, role, `${voters.length} voters, ${votes}`)
  }
})

t.test('§5.2 a candidate gives way to a leader of its term or a later one', async (t) => {
  for (const term of [1, 2]) {
    t.match(candidate().step(append(term, [0, 0], [])).core, {
      role: 'follower',
      leader: 'b',
      term,
    })
  }
})

t.test('§5.2 election timeouts are random, so that mostly one campaigns alone', async (t) => {
  let seed = 1
  const random = () => {
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  }
  const timeouts = new Map<number, number>()
  for (let left = 500; left > 0; left -= 1) {
    const start = {
      ...{ id: 'a', entries: [], base: { index: 0, term: 0 }, applied: 0, random },
      ...{
        hardState: { term: 0, vote: null, commit: 0 },
        membership: membershipOf({ voters: THREE }),
      },
    }
    const core = new RaftCore(start, TICKS)
    let ticks = 0
    for (; core.role === 'follower'; ticks += 1) core.tick()
    timeouts.set(ticks, (timeouts.get(ticks) ?? 0) + 1)
  }
  t.same(
    [...timeouts.keys()].sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, at) => 20 + at),
    'each number from one to two timeouts occurs',
  )
  t.ok(Math.max(...timeouts.values()) < 500 / 8, 'and none much more often than others')
})

t.test('§5.3 a proposal goes to the disk and to all followers at once', async (t) => {
  const one = leader({ entries: [command(1, 1)], term: 1 })
  one.take()
  one
    .step(accepted('b', 2, 2))
    .step(accepted('c', 2, 2))
    .settle()
    .take()
  one.core.propose([bytes('x')])
  one.collect()
  const message = { kind: 'append', prevIndex: 2, prevTerm: 2, commit: 2, term: 2 }
  t.match(one.take(), [
    { ...message, to: 'b', entries: [{ index: 3, term: 2 }] },
    { ...message, to: 'c', entries: [{ index: 3, term: 2 }] },
  ])
  t.match(one.batches, [{ entries: [{ index: 3, term: 2 }] }])
})

t.test(
  '§5.3 an entry that a majority holds is committed, applied, and its index told',
  async (t) => {
    for (const [voters, answers, isCommitted] of [
      [['a'], 0, true],
      [THREE, 0, false],
      [THREE, 1, true],
      [FIVE, 1, false],
      [FIVE, 2, true],
    ] as const) {
      const one = leader({ voters: [...voters] })
      for (const id of voters.slice(1)) one.step(accepted(id, 1, 1))
      one.settle().take()
      one.core.propose([bytes('x')])
      one.settle()
      for (const id of voters.slice(1, 1 + answers)) one.step(accepted(id, 1, 2))
      t.equal(one.core.log.committed, isCommitted ? 2 : 1, `${answers} of ${voters.length}`)
      t.same(one.commands, isCommitted ? ['x'] : [])
      const told = one.take().filter((message) => message.kind === 'append' && message.commit === 2)
      t.equal(told.length, isCommitted ? voters.length - 1 : 0)
    }
  },
)

t.test('§5.3 what precedes a committed entry is committed with it, in its order', async (t) => {
  const entries = [command(1, 1, 'x'), command(2, 2, 'y')]
  const one = leader({ entries, term: 2 })
  one.core.propose([bytes('z')])
  one.settle().step(accepted('b', 3, 4))
  t.same(one.commands, ['x', 'y', 'z'])
})

t.test(
  '§5.3 a follower applies what it learns to be committed, in the order of the log',
  async (t) => {
    const one = driver()
      .step(append(1, [0, 0], [command(1, 1, 'x'), command(2, 1, 'y')], 1))
      .settle()
    t.same(one.commands, ['x'])
    one.step(append(1, [1, 2], [], 2)).settle()
    t.same(one.commands, ['x', 'y'])
  },
)

t.test('§5.3 a follower takes entries only after one that it has', async (t) => {
  const entries = [command(1, 1), command(2, 2)]
  for (const [previous, index, rejected] of [
    [[0, 0], 0, false],
    [[1, 1], 1, false],
    [[2, 2], 2, false],
    [[1, 2], 2, true],
    [[3, 3], 3, true],
  ] as const) {
    const one = driver({ entries, term: 2 })
      .step(append(3, previous, []))
      .settle()
    t.match(one.take(), [{ kind: 'append-response', index, rejected }], `${previous}`)
  }
})

t.test(
  '§5.3 what conflicts goes, with all that follows it; what is there already stays',
  async (t) => {
    const entries = [command(1, 1), command(2, 2)]
    for (const [previous, received, log, written] of [
      [[2, 2], [command(3, 3)], [1, 2, 3], 1],
      [[1, 1], [command(2, 3), command(3, 4)], [1, 3, 4], 2],
      [[0, 0], [command(1, 1)], [1, 2], 0],
      [[0, 0], [command(1, 3)], [3], 1],
    ] as const) {
      const one = driver({ entries, term: 2 }).step(append(4, previous, received))
      t.equal(one.batches[0]?.entries.length, written, 'what is new goes to the disk')
      one.settle()
      const { last } = one.core.log
      const terms = Array.from({ length: last.index }, (_, at) => one.core.log.termAt(at + 1))
      t.same(terms, log)
      const index = previous[1] + received.length
      t.match(one.take(), [{ index, rejected: false }], 'it answers for what the message proves')
    }
  },
)

t.test('§5.4.1 whoever has a newer log than the candidate refuses', async (t) => {
  for (const [own, [lastTerm, lastIndex], granted] of [
    [[command(1, 1)], [1, 1], true],
    [[command(1, 1)], [1, 2], true],
    [[command(1, 1), command(2, 1)], [1, 1], false],
    [[command(1, 1)], [2, 1], true],
    [[command(1, 1), command(2, 1)], [2, 1], true],
    [[command(1, 2)], [1, 1], false],
    [[command(1, 2)], [1, 2], false],
    [[command(1, 2), command(2, 1)], [1, 1], false],
  ] as const) {
    const one = driver({ entries: own, term: 2 })
    one.step({ kind: 'vote', lastIndex, lastTerm, force: false, ...from('b', 3) }).settle()
    t.match(one.take(), [{ kind: 'vote-response', granted }])
  }
})

t.test('§5.4.2 a leader commits old entries only by one of its own term', async (t) => {
  const entries = [command(1, 1), command(2, 2)]
  for (const [index, committed] of [
    [1, 0],
    [2, 0],
    [3, 3],
  ] as const) {
    const one = leader({ entries, term: 2 }).step(accepted('b', 3, index))
    t.equal(one.core.log.committed, committed, `entry ${index} of 3`)
  }
})

t.test('§8 a leader that hears of a later one does not serve reads any more', async (t) => {
  const one = leader()
  one.step(accepted('b', 1, 1))
  one.core.readIndex(1)
  one.step(heartbeat('b', 2))
  one.step({ kind: 'heartbeat-response', readRound: 1, ...from('c', 1) })
  t.same(one.reads, [])
})
