// One test per rule, with the section of Ongaro's dissertation, or the defect that others had with it.

import t from 'tap'
import { createEntry } from '../../src/raft/entry.ts'
import type { Message } from '../../src/raft/message.ts'
import { bytes, CoreNetwork, command, coreOf, Driver } from '../support/raft/core-network.ts'

const IDS = ['a', 'b', 'c']
const from = (id: string, term: number) => ({ from: id, to: 'a', term })
const preVoteGranted = {
  kind: 'pre-vote-response',
  granted: true,
  commit: 0,
  commitTerm: 0,
} as const
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

function follower(setup: Partial<Parameters<typeof coreOf>[1]> = {}): Driver {
  return new Driver(coreOf('a', { voters: IDS, ...setup }))
}

t.test('§3.6.2 only entries of the own term are committed by counting', async (t) => {
  const old = [command(1, 1), command(2, 2)]
  const leader = new Driver(coreOf('a', { voters: IDS, entries: old, term: 3 }))
  leader.core.campaign()
  leader.step({ ...preVoteGranted, ...from('b', 4) }).settle()
  leader.step({ kind: 'vote-response', granted: true, ...from('b', 4) }).settle()
  t.equal(leader.core.role, 'leader')
  const matched = (index: number): Message => ({
    ...{ kind: 'append-response', index, rejected: false, hintIndex: 0, hintTerm: 0 },
    ...from('b', 4),
  })
  leader.step(matched(2))
  t.equal(leader.core.log.committed, 0, 'a majority has entry 2, but it is of an earlier term')
  leader.step(matched(3))
  t.equal(leader.core.log.committed, 3, 'its own no-op commits everything before it')
})

t.test('§10.2.1 the leader counts itself only after its own disk', async (t) => {
  const alone = new Driver(coreOf('a', { voters: ['a'] }))
  alone.core.campaign()
  alone.settle()
  alone.core.propose([bytes('x')])
  alone.collect()
  t.equal(alone.core.log.committed, 1)
  alone.persistOne()
  t.equal(alone.core.log.committed, 2)
  t.same(alone.commands, ['x'])
})

t.test('§3.5 replication', async (t) => {
  const append = (term: number, prevIndex: number, prevTerm: number, rest: Partial<Message> = {}) =>
    ({
      kind: 'append',
      prevIndex,
      prevTerm,
      entries: [],
      commit: 0,
      ...from('b', term),
      ...rest,
    }) as Message

  t.test('a follower acknowledges what is durable, not what it holds', async (t) => {
    const one = follower().step(append(1, 0, 0, { entries: [command(1, 1)], commit: 1 }))
    t.same(one.take(), [])
    t.same(one.applied, [], 'nor is it applied before')
    one.persistOne()
    t.match(one.take(), [{ kind: 'append-response', index: 1, rejected: false }])
    t.same(one.commands, ['e1'])
  })

  t.test('an old append neither truncates nor conflicts', async (t) => {
    const entries = [command(1, 1), command(2, 1), command(3, 1)]
    const one = follower({ entries, term: 1, commit: 2 })
    one.step(append(1, 0, 0, { entries: entries.slice(0, 1) })).settle()
    t.equal(one.core.log.last.index, 3, 'what came later stays (§3.5)')
    t.match(one.take(), [{ rejected: false, index: 2 }], 'before the commit index all is agreed')
  })

  t.test('a conflicting end is replaced, once', async (t) => {
    const one = follower({
      entries: [command(1, 1), command(2, 1), command(3, 1)],
      term: 1,
      commit: 1,
    })
    one.step(append(2, 1, 1, { entries: [command(2, 2, 'new')], commit: 2 })).settle()
    t.same(one.core.log.last, { ...command(2, 2, 'new') })
    t.same(one.batches, [])
    t.same(one.commands, ['e1', 'new'])
  })

  t.test('the commit index stops at the last entry that the message proves', async (t) => {
    const one = follower({ entries: [command(1, 1), command(2, 1)], term: 1 })
    one.step(append(2, 1, 1, { commit: 9 })).settle()
    t.equal(one.core.log.committed, 1, 'entry 2 may be of another leader')
  })

  t.test(
    'a rejection hints at the term, so that a leader goes back one term at a time',
    async (t) => {
      const network = new CoreNetwork(IDS)
      const long = Array.from({ length: 50 }, (_, at) => command(at + 1, at < 10 ? 1 : 2))
      const right = Array.from({ length: 40 }, (_, at) => command(at + 1, at < 10 ? 1 : 3))
      network.drivers.set('a', new Driver(coreOf('a', { voters: IDS, entries: right, term: 3 })))
      network.drivers.set('b', new Driver(coreOf('b', { voters: IDS, entries: long, term: 3 })))
      network.cut('c')
      let rejections = 0
      const { core } = network.get('a')
      const step = core.step.bind(core)
      core.step = (message) => {
        if (message.kind === 'append-response' && message.rejected) rejections += 1
        step(message)
      }
      network.elect('a')
      t.equal(network.get('b').core.log.committed, 41)
      t.ok(rejections <= 2, `${rejections} rejections`)
    },
  )

  t.test('the pipeline is bounded, and a lost one is found by an empty append', async (t) => {
    const network = new CoreNetwork(IDS, { options: { inflightMessagesMax: 2 } }).elect('a')
    network.cut('a', 'b')
    for (let at = 0; at < 10; at += 1) network.propose('a', `x${at}`)
    network.heal()
    network.get('a').tick(4)
    network.run()
    t.same(network.get('b').commands, network.get('a').commands)
    t.equal(network.get('a').commands.length, 10)
  })

  t.test('too much uncommitted is refused', async (t) => {
    const network = new CoreNetwork(IDS, { options: { uncommittedBytesMax: 100 } }).elect('a')
    network.cut('a')
    t.match(network.get('a').core.propose([new Uint8Array(200)]), { kind: 'proposed' })
    t.match(network.get('a').core.propose([new Uint8Array(1)]), { kind: 'refused' })
    network.heal().tickAll(5)
    t.match(network.get('a').core.propose([new Uint8Array(1)]), { kind: 'proposed' })
  })
})

t.test('a completion speaks only for the term in which the batch was accepted (ABA)', async (t) => {
  const one = follower()
  const append = (
    leader: string,
    term: number,
    entry: ReturnType<typeof command>,
    prevTerm = 0,
  ): Message => ({
    ...{ kind: 'append', prevIndex: entry.index - 1, prevTerm, entries: [entry], commit: 0 },
    ...from(leader, term),
  })
  one.step(append('b', 1, command(1, 1, 'first')))
  one.step(append('c', 2, command(1, 2, 'second')))
  one.step(append('b', 3, command(1, 1, 'first')))
  t.equal(one.batches.length, 3)
  one.persistOne()
  t.equal(
    one.core.log.persisted,
    0,
    'the disk has entry 1 of term 1, but it is about to be overwritten',
  )
  one.persistOne()
  t.equal(one.core.log.persisted, 0)
  one.persistOne()
  t.equal(one.core.log.persisted, 1)
})

t.test('§6.4 reads', async (t) => {
  t.test('a quorum must answer a heartbeat that was sent after the read came', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').propose('a', 'x')
    const leader = network.get('a')
    leader.take()
    leader.core.readIndex(7)
    leader.collect()
    t.same(leader.reads, [])
    const [beat] = leader.take()
    t.match(beat, { kind: 'heartbeat', readRound: 1 })
    leader.step({ kind: 'heartbeat-response', readRound: 0, ...from('b', 1) })
    t.same(leader.reads, [], 'an answer to an earlier heartbeat proves nothing')
    leader.step({ kind: 'heartbeat-response', readRound: 1, ...from('b', 1) })
    t.same(leader.reads, [{ token: 7, index: 2 }])
  })

  t.test('a new leader answers only after it committed in its own term', async (t) => {
    const leader = new Driver(coreOf('a', { voters: IDS, entries: [command(1, 1)], term: 1 }))
    leader.core.campaign()
    leader.step({ ...preVoteGranted, ...from('b', 2) }).settle()
    leader.step({ kind: 'vote-response', granted: true, ...from('b', 2) }).settle()
    leader.core.readIndex(1)
    leader.step({ kind: 'heartbeat-response', readRound: 9, ...from('b', 2) })
    t.same(leader.reads, [])
    const matched = { index: 2, rejected: false, hintIndex: 0, hintTerm: 0 }
    leader.step({ kind: 'append-response', ...matched, ...from('b', 2) })
    leader.step({ kind: 'heartbeat-response', readRound: 1, ...from('c', 2) })
    t.same(leader.reads, [{ token: 1, index: 2 }])
  })

  t.test('a follower asks the leader', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').propose('a', 'x')
    network.get('b').core.readIndex(3)
    network.run()
    t.same(network.get('b').reads, [{ token: 3, index: 2 }])
  })
})

t.test('§4 membership', async (t) => {
  const change = (
    network: CoreNetwork,
    ...changes: { kind: 'add-voter' | 'add-learner' | 'remove'; id: string }[]
  ) => network.get('a').core.proposeMembership({ kind: 'change', changes })

  t.test('a change takes effect when it is applied, and there is one at a time', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('a')
    t.match(change(network, { kind: 'remove', id: 'c' }), { kind: 'proposed' })
    t.match(change(network, { kind: 'remove', id: 'b' }), { kind: 'refused' })
    t.same(network.get('a').core.membership.voters, IDS)
    network.heal().tickAll(5)
    t.same(network.get('a').core.membership.voters, ['a', 'b'])
    t.match(
      change(network, { kind: 'add-voter', id: 'c' }),
      { kind: 'refused' },
      'who was removed learns before it votes again',
    )
  })

  t.test('several voters change by joint consensus, which the leader ends by itself', async (t) => {
    const network = new CoreNetwork(['a', 'b', 'c', 'd'], { voters: IDS }).elect('a')
    change(network, { kind: 'add-voter', id: 'd' }, { kind: 'remove', id: 'c' })
    // Only c answers: a majority of the old voters, but not of the new ones.
    network.cut('a', 'b').cut('a', 'd').run()
    const { core } = network.get('a')
    t.match(core.membership, { voters: ['a', 'b', 'd'], outgoing: IDS })
    network.propose('a', 'x')
    t.notOk(network.get('a').commands.includes('x'), 'both majorities must agree')
    network.heal().tickAll(10)
    t.match(core.membership, { voters: ['a', 'b', 'd'], outgoing: [], removed: ['c'] })
    network.sendSnapshot('a', 'd').propose('a', 'y')
    t.ok(network.get('d').commands.includes('y'))
  })

  t.test(
    'a new leader waits until all of its log is applied before it changes members',
    async (t) => {
      const data = createEntry({ index: 1, term: 1 }, 'command', bytes('x'))
      const leader = new Driver(coreOf('a', { voters: ['a'], entries: [data], term: 1 }))
      leader.core.campaign()
      leader.collect()
      leader.persistOne()
      const early = leader.core.proposeMembership({
        kind: 'change',
        changes: [{ kind: 'add-learner', id: 'b' }],
      })
      t.match(early, { kind: 'refused' })
      leader.settle()
      const late = leader.core.proposeMembership({
        kind: 'change',
        changes: [{ kind: 'add-learner', id: 'b' }],
      })
      t.match(late, { kind: 'proposed' })
    },
  )

  t.test(
    'a removed leader steps down once that is committed, and is told by anyone later',
    async (t) => {
      const network = new CoreNetwork(IDS).elect('a')
      change(network, { kind: 'remove', id: 'a' })
      network.run()
      t.not(network.get('a').core.role, 'leader')
      t.ok(network.get('a').removed)
      const away = new Driver(coreOf('a', { voters: IDS }))
      network.drivers.set('a', away)
      network.tickAll(60)
      t.ok(away.removed, 'one that missed the entry learns it from a pre-vote')
      t.equal(network.leaders().length, 1)
    },
  )

  t.test('a learner gets the log and votes when asked, but does not count', async (t) => {
    const network = new CoreNetwork(['a', 'b'], { voters: ['a'], learners: ['b'] }).elect('a')
    network.cut('b').propose('a', 'x')
    t.same(network.get('a').commands, ['x'])
    network.heal().tickAll(5)
    t.same(network.get('b').commands, ['x'])
    network.get('b').tick(100)
    t.equal(network.get('b').core.role, 'follower', 'it never campaigns')
    const learner = new Driver(coreOf('a', { voters: ['b', 'c'], learners: ['a'] }))
    t.match(
      learner
        .step(vote('b', 9, 1, 1))
        .settle()
        .take(),
      [{ granted: true }],
      'it may be a voter by now',
    )
  })

  t.test(
    'a member that came back is told nothing by who missed it, and may lead them',
    async (t) => {
      const missed = new Driver(coreOf('a', { voters: ['a', 'c'], removed: ['b'], term: 3 }))
      t.match(missed.step(vote('b', 4, 9, 3)).take(), [{ kind: 'removed', to: 'b', index: 0 }])
      missed.step({ kind: 'heartbeat', commit: 0, readRound: 1, ...from('b', 4) })
      t.match(missed.core, { leader: 'b', term: 4 }, 'a leader is followed whoever it is')
      const back = follower({ entries: [command(1, 1)], term: 1, commit: 1 }).settle()
      t.notOk(back.step({ kind: 'removed', index: 1, ...from('b', 1) }).removed)
      const newcomer = new Driver(coreOf('a', { voters: [] }))
      t.notOk(newcomer.step({ kind: 'removed', index: 1, ...from('b', 1) }).removed)
      t.ok(back.step({ kind: 'removed', index: 2, ...from('b', 1) }).removed, 'this one knows more')
    },
  )

  t.test('a newcomer gets a snapshot, and elects nobody before', async (t) => {
    const newcomer = new Driver(coreOf('a', { voters: [] }))
    t.match(
      newcomer
        .step(vote('b', 2, 9, 1))
        .settle()
        .take(),
      [{ granted: false }],
      'it may have been a member and forgotten what it acknowledged',
    )
    const network = new CoreNetwork(['a', 'b', 'c'], { voters: ['a', 'b'] }).elect('a')
    network.drivers.set('c', new Driver(coreOf('c', { voters: [] })))
    change(network, { kind: 'add-learner', id: 'c' })
    network.tickAll(5)
    t.same(network.get('c').core.log.last, { index: 0, term: 0 }, 'no part of the old log')
    t.same(network.get('a').snapshotsToSend, ['c'])
    network.sendSnapshot('a', 'c').propose('a', 'x')
    t.same(network.get('c').commands, ['x'])
    t.match(network.get('c').core.membership, { learners: ['c'] })
  })

  t.test('no campaign while a committed change is not applied', async (t) => {
    const entries = [createEntry({ index: 1, term: 1 }, 'membership', bytes('opaque'))]
    const one = coreOf('a', { voters: ['a'], entries, term: 1, commit: 1 })
    one.campaign()
    t.equal(one.role, 'follower')
  })
})

t.test('§5 snapshots', async (t) => {
  t.test('a follower that needs what was compacted gets a snapshot, then the log', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c')
    for (let at = 0; at < 10; at += 1) network.propose('a', `x${at}`)
    const leader = network.get('a')
    leader.core.compact({ to: 8, heldTo: 8, keepEntriesMax: 0, keepBytesMax: 0 })
    network.heal().tickAll(5)
    t.same(leader.snapshotsToSend, ['c'])
    t.equal(leader.core.progress.get('c')?.state, 'snapshot')
    const { membership } = leader.core
    const meta = { index: 8, term: leader.core.log.termAt(8) ?? 0, membership }
    network.get('c').step({ kind: 'snapshot', from: 'a', to: 'c', term: 1, meta })
    t.same(network.get('c').batches.at(-1)?.snapshot, meta)
    t.same(network.get('c').sent, [], 'the answer waits until it is durable')
    network.run()
    leader.core.onSnapshotSent('c', { index: 8 })
    network.run()
    t.equal(network.get('c').core.log.applied, leader.core.log.applied)
    t.equal(leader.core.progress.get('c')?.state, 'replicate')
  })

  t.test(
    'a matching tail is kept, an old snapshot is ignored, a conflicting entry goes',
    async (t) => {
      const { membership } = coreOf('a', { voters: IDS })
      const entries = [command(1, 1), command(2, 1), command(3, 1)]
      const install = (index: number, term: number): Message => ({
        ...{ kind: 'snapshot', meta: { index, term, membership } },
        ...from('b', 2),
      })
      const matching = follower({ entries, term: 2 }).step(install(2, 1)).settle()
      t.equal(matching.core.log.last.index, 3)
      t.equal(matching.core.log.committed, 2)
      const old = follower({ entries, term: 2, commit: 3 }).step(install(2, 1)).settle()
      t.match(old.take(), [{ kind: 'append-response', index: 3 }])
      const conflicting = follower({ entries, term: 2 }).step(install(3, 2)).settle()
      t.match(conflicting.core.log.base, { index: 3, term: 2 })
    },
  )

  t.test('while a snapshot is installed there is no campaign and nothing is applied', async (t) => {
    const { membership } = coreOf('a', { voters: IDS })
    const one = follower({ term: 2 })
    const meta = { index: 9, term: 2, membership }
    one.step({ kind: 'snapshot', meta, ...from('b', 2) })
    const entries = [command(10, 2)]
    one.step({ kind: 'append', prevIndex: 9, prevTerm: 2, entries, commit: 10, ...from('b', 2) })
    one.tick(100)
    t.equal(one.core.role, 'follower')
    t.same(one.applied, [])
    one.settle()
    t.same(one.commands, ['e10'])
  })

  t.test(
    'a new leader that depends on a follower whose snapshot failed is not stuck',
    async (t) => {
      const entries = Array.from({ length: 5 }, (_, at) => command(at + 1, 1))
      const network = new CoreNetwork(IDS, { entries: entries.slice(0, 1), term: 1, commit: 1 })
      network.drivers.set(
        'a',
        new Driver(coreOf('a', { voters: IDS, entries, term: 1, commit: 5 })),
      )
      network
        .get('a')
        .settle()
        .core.compact({ to: 5, heldTo: 5, keepEntriesMax: 0, keepBytesMax: 0 })
      network.cut('c').elect('a')
      const leader = network.get('a')
      t.same(leader.snapshotsToSend, ['b'])
      t.notOk(leader.core.isCurrentLeader, 'without b it can commit nothing')
      leader.core.onSnapshotSent('b', 'failed')
      network.tickAll(5)
      t.same(leader.snapshotsToSend, ['b', 'b'])
      network.sendSnapshot('a', 'b').sendSnapshot('a', 'b')
      t.ok(leader.core.isCurrentLeader)
    },
  )

  t.test('a failed transfer is tried again when the follower shows that it lives', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c').propose('a', 'x').propose('a', 'y')
    const leader = network.get('a')
    leader.core.compact({ to: 3, heldTo: 3, keepEntriesMax: 0, keepBytesMax: 0 })
    network.heal().tickAll(5)
    leader.core.onSnapshotSent('c', 'failed')
    network.tickAll(5)
    t.same(leader.snapshotsToSend, ['c', 'c'])
  })

  t.test('who can not take a snapshot is still one that answers (§6.2)', async (t) => {
    const network = new CoreNetwork(IDS).elect('a').cut('c').propose('a', 'x').propose('a', 'y')
    const leader = network.get('a')
    leader.core.compact({ to: 3, heldTo: 3, keepEntriesMax: 0, keepBytesMax: 0 })
    network.heal().cut('a', 'b').cut('c', 'b')
    for (let tick = 0; tick < 100; tick += 1) {
      network.tickAll(1)
      leader.core.onSnapshotSent('c', 'failed')
    }
    t.ok(leader.snapshotsToSend.length > 10, 'it was tried again and again')
    t.same([leader.core.role, leader.core.term], ['leader', 1])
  })
})
