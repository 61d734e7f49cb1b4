// Who leads. One test per rule, with the section of Ongaro's dissertation, or the defect that others had with it.

import t from 'tap'
import type { Message } from '../../src/raft/message.ts'
import { bytes, CoreNetwork, command, coreOf, Driver } from '../support/raft/core-network.ts'

const IDS = ['a', 'b', 'c']
const from = (id: string, term: number) => ({ from: id, to: 'a', term })
const vote = (
  id: string,
  term: number,
  lastIndex: number,
  lastTerm: number,
  force = false,
): Message => ({
  ...{ kind: 'vote', lastIndex, lastTerm, force },
  ...from(id, term),
})
const preVoteGranted = {
  kind: 'pre-vote-response',
  granted: true,
  commit: 0,
  commitTerm: 0,
} as const
const kinds = (messages: readonly Message[]) => messages.map(({ kind }) => kind)

function follower(setup: Partial<Parameters<typeof coreOf>[1]> = {}): Driver {
  return new Driver(coreOf('a', { voters: IDS, ...setup }))
}

t.test('§3.4 elections', async (t) => {
  t.test('a follower campaigns when no leader speaks, and a majority elects it', async (t) => {
    const network = new CoreNetwork(IDS)
    network.get('a').tick(20)
    network.run()
    t.same(network.leaders(), ['a'])
    t.equal(network.get('b').core.leader, 'a')
    t.equal(network.get('a').core.log.committed, 1, 'its no-op is committed at once')
    t.ok(network.get('a').core.isCurrentLeader)
  })

  t.test('a vote is promised only when it is durable', async (t) => {
    const voter = follower().step(vote('b', 1, 0, 0))
    t.same(voter.take(), [], 'nothing is sent before the disk has it')
    t.same(voter.batches[0]?.hardState, { term: 1, vote: 'b', commit: 0 })
    voter.persistOne()
    t.match(voter.take(), [{ kind: 'vote-response', granted: true, term: 1 }])
  })

  t.test(
    'at most one vote per term, also after a restart; the same candidate gets it again',
    async (t) => {
      const voter = follower({ term: 3, vote: 'b' })
      t.match(
        voter
          .step(vote('c', 3, 9, 9))
          .settle()
          .take(),
        [{ granted: false }],
      )
      t.match(
        voter
          .step(vote('b', 3, 9, 9))
          .settle()
          .take(),
        [{ granted: true }],
      )
    },
  )

  t.test('learning a higher term is not granting a vote', async (t) => {
    const voter = follower({ entries: [command(1, 2)], term: 2 })
    const [answer] = voter
      .step(vote('b', 5, 0, 0))
      .settle()
      .take()
    t.match(answer, { granted: false, term: 5 })
    t.match(
      voter
        .step(vote('c', 5, 1, 2))
        .settle()
        .take(),
      [{ granted: true }],
      'the vote is still free',
    )
  })

  t.test('a repeated grant counts once', async (t) => {
    const five = ['a', 'b', 'c', 'd', 'e']
    const candidate = new Driver(coreOf('a', { voters: five }))
    candidate.core.campaign()
    for (const id of ['b', 'c']) {
      candidate.step({ ...preVoteGranted, ...from(id, 1) })
    }
    candidate.settle()
    for (let repeat = 0; repeat < 3; repeat += 1) {
      candidate.step({ kind: 'vote-response', granted: true, ...from('b', 1) })
    }
    t.equal(candidate.core.role, 'candidate')
    candidate.step({ kind: 'vote-response', granted: true, ...from('c', 1) })
    t.equal(candidate.core.role, 'leader')
  })

  t.test('its own vote counts only when it is durable', async (t) => {
    const alone = new Driver(coreOf('a', { voters: ['a'] }))
    alone.core.campaign()
    alone.collect()
    t.equal(alone.core.role, 'candidate')
    alone.persistOne()
    t.equal(alone.core.role, 'leader')
  })

  t.test('a candidate follows the leader of its term', async (t) => {
    const candidate = follower()
    candidate.core.campaign()
    candidate.step({ ...preVoteGranted, ...from('b', 1) }).settle()
    t.equal(candidate.core.role, 'candidate')
    candidate.step({ kind: 'heartbeat', commit: 0, readRound: 0, ...from('c', 1) })
    t.match(candidate.core, { role: 'follower', leader: 'c' })
  })
})

t.test(
  '§3.6.1 the voter compares the ends of the logs: the term first, then the length',
  async (t) => {
    const own = [command(1, 1), command(2, 2)]
    for (const [lastIndex, lastTerm, granted] of [
      [2, 2, true],
      [3, 2, true],
      [1, 3, true],
      [1, 2, false],
      [9, 1, false],
    ] as const) {
      const voter = follower({ entries: own, term: 2 })
      const answers = voter
        .step(vote('b', 4, lastIndex, lastTerm))
        .settle()
        .take()
      t.match(answers, [{ granted }], `${lastIndex} of term ${lastTerm}`)
    }
  },
)

t.test('§9.6 and §4.2.3: pre-votes and a leader that is heard of', async (t) => {
  t.test('a node that was cut off neither raises terms nor unseats the leader', async (t) => {
    const network = new CoreNetwork(IDS).elect('a')
    network.cut('c')
    network.tickAll(200)
    t.equal(network.get('c').core.term, 1, 'it only asked')
    network.heal().tickAll(5)
    t.same(network.leaders(), ['a'])
    t.equal(network.get('a').core.term, 1)
  })

  t.test('a follower that hears a leader ignores votes of a higher term', async (t) => {
    const one = follower().step({ kind: 'heartbeat', commit: 0, readRound: 0, ...from('b', 1) })
    one.take()
    t.same(
      one
        .step(vote('c', 7, 9, 9))
        .settle()
        .take(),
      [],
    )
    t.equal(one.core.term, 1)
    t.match(
      one
        .step(vote('c', 7, 9, 9, true))
        .settle()
        .take(),
      [{ granted: true }],
      'but for a transfer',
    )
  })

  t.test('who may not campaign protects a dead leader no longer than others do', async (t) => {
    const learner = new Driver(coreOf('a', { voters: ['b', 'c'], learners: ['a'], term: 1 }))
    learner
      .step({ kind: 'heartbeat', commit: 0, readRound: 0, ...from('b', 1) })
      .settle()
      .take()
    const ask: Message = { kind: 'pre-vote', lastIndex: 0, lastTerm: 0, ...from('c', 2) }
    t.same(learner.tick(19).step(ask).settle().take(), [], 'the leader was heard of lately')
    for (let ticks = 20; ticks < 30; ticks += 1) {
      t.match(learner.tick().step(ask).settle().take(), [{ granted: true }], `${ticks} ticks`)
    }
  })

  t.test('the known leader itself is not ignored when it asks', async (t) => {
    const one = follower().step({ kind: 'heartbeat', commit: 0, readRound: 0, ...from('b', 1) })
    one.settle().take()
    const ask: Message = { kind: 'pre-vote', lastIndex: 0, lastTerm: 0, ...from('b', 2) }
    t.match(one.step(ask).settle().take(), [{ kind: 'pre-vote-response', granted: true, term: 2 }])
  })

  t.test('a grant changes nothing: neither term, nor vote, nor the leader', async (t) => {
    const one = follower({ term: 1 })
    for (const id of ['b', 'c']) {
      const ask: Message = { kind: 'pre-vote', lastIndex: 0, lastTerm: 0, ...from(id, 2) }
      t.match(one.step(ask).settle().take(), [{ granted: true, term: 2 }])
    }
    t.equal(one.core.term, 1)
  })

  t.test('an answer tells what is committed, so that nobody waits for one who left', async (t) => {
    const entries = [command(1, 1), command(2, 1), command(3, 1)]
    const ahead = follower({ entries, term: 1, commit: 1 }).tick(20).settle()
    ahead.take()
    ahead.step({
      kind: 'pre-vote-response',
      granted: false,
      commit: 2,
      commitTerm: 2,
      ...from('b', 1),
    })
    t.equal(ahead.core.log.committed, 1, 'another entry 2 than its own')
    ahead.step({
      kind: 'pre-vote-response',
      granted: false,
      commit: 2,
      commitTerm: 1,
      ...from('b', 1),
    })
    t.equal(ahead.core.log.committed, 2)
    const ask: Message = { kind: 'pre-vote', lastIndex: 1, lastTerm: 1, ...from('b', 2) }
    t.match(ahead.take(), [])
    t.match(ahead.step(ask).settle().take(), [{ granted: false, commit: 2, commitTerm: 1 }])
  })

  t.test('stale messages are answered, so that nobody waits for silence', async (t) => {
    const one = follower({ term: 5 })
    const ask: Message = { kind: 'pre-vote', lastIndex: 9, lastTerm: 3, ...from('b', 4) }
    t.match(one.step(ask).settle().take(), [{ granted: false, term: 5 }])
    one.step({ kind: 'heartbeat', commit: 0, readRound: 7, ...from('b', 4) })
    t.match(one.settle().take(), [{ kind: 'heartbeat-response', term: 5, readRound: 0 }])
  })

  t.test(
    'becoming pre-candidate forgets the leader and the answers of the round before',
    async (t) => {
      const one = follower().step({ kind: 'heartbeat', commit: 0, readRound: 0, ...from('b', 1) })
      one.tick(20)
      t.match(one.core, { role: 'pre-candidate', leader: null })
      t.same(
        kinds(one.take()).filter((kind) => kind === 'pre-vote'),
        ['pre-vote', 'pre-vote'],
      )
    },
  )
})

t.test(
  'a leader that is told to campaign leads on, and is no candidate with heartbeats',
  async (t) => {
    const network = new CoreNetwork(IDS).elect('a')
    network.get('a').core.campaign()
    network
      .get('a')
      .step({ kind: 'timeout-now', ...from('b', 1) })
      .take()
    t.match(network.get('a').core, { role: 'leader', term: 1 }, 'openraft #1839')
  },
)

t.test('§6.2 a leader that no quorum answers steps down', async (t) => {
  const network = new CoreNetwork(IDS).elect('a')
  network.cut('a').tickAll(45)
  t.not(network.get('a').core.role, 'leader')
  t.equal(network.leaders().length, 1, 'the others have a new one')
})

t.test('a closed connection of the leader shortens the wait', async (t) => {
  const network = new CoreNetwork(IDS).elect('a')
  network.cut('a')
  network.get('b').core.onPeerClosed('a')
  network.get('c').core.onPeerClosed('a')
  network.get('b').tick(1)
  network.run()
  t.ok(network.leaders().includes('b'), 'one tick, with the random number 0.1')
  network.get('c').core.onPeerClosed('nobody')
  t.equal(network.get('c').core.leader, 'b')
})

t.test('§3.10 transfer of leadership', async (t) => {
  t.test(
    'the successor catches up, then campaigns without a pre-vote, over the leader’s protection',
    async (t) => {
      const network = new CoreNetwork(IDS).elect('a')
      network.cut('a', 'b').propose('a', 'x').heal()
      t.ok(network.get('a').core.transferLeadership('b'))
      t.match(network.get('a').core.propose([bytes('y')]), { kind: 'refused' })
      network.get('a').tick(4)
      network.run()
      t.same(network.leaders(), ['b'])
      t.same(network.get('b').commands, ['x'])
    },
  )

  t.test(
    'asked again it does not begin again; it ends when the successor may vote no longer',
    async (t) => {
      const network = new CoreNetwork(IDS).elect('a').cut('b')
      for (let at = 0; at < 3; at += 1) {
        t.ok(network.get('a').core.transferLeadership('b'))
        network.tickAll(7)
      }
      t.equal(network.get('a').core.transferee, null)
      const changes = [{ kind: 'add-learner', id: 'b' }] as const
      network.get('a').core.proposeMembership({ kind: 'change', changes })
      network.get('a').core.transferLeadership('b')
      network.run()
      t.equal(network.get('a').core.transferee, null)
    },
  )

  t.test('a word to take over that got lost is said again', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('b')
    t.ok(network.get('a').core.transferLeadership('b'))
    network.run().heal().tickAll(5)
    t.equal(network.get('b').core.role, 'leader')
  })

  t.test('it ends after an election timeout, and proposals are taken again', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('b')
    network.get('a').core.transferLeadership('b')
    network.tickAll(21)
    t.match(network.get('a').core.propose([bytes('y')]), { kind: 'proposed' })
    t.notOk(network.get('a').core.transferLeadership('a'))
    t.notOk(network.get('a').core.transferLeadership('z'))
  })
})
