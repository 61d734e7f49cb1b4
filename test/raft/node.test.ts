import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { createEntry } from '../../src/raft/entry.ts'
import { NotLeaderError } from '../../src/raft/errors.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../src/raft/memory-state-storage.ts'
import { MemoryWal, MemoryWalDisk } from '../../src/raft/memory-wal.ts'
import { RaftNode } from '../../src/raft/node.ts'
import type { RaftTransport } from '../../src/raft/node-ports.ts'
import type { WalFiles } from '../../src/raft/wal-files.ts'
import { encodeMessage } from '../../src/raft/wire.ts'
import { Cluster, type ClusterNode, KeyValueMachine, set, until } from '../support/raft/cluster.ts'
import { systemClock } from '../support/raft/system-clock.ts'

const encoder = new TextEncoder()
const IDS = ['a', 'b', 'c']

/** A cluster that is closed when the test ends. */
function cluster(t: { teardown(run: () => Promise<void>): void }): Cluster {
  const made = new Cluster()
  t.teardown(() => made.close())
  return made
}

/** Another node than one. */
function other(cluster: Cluster, one: ClusterNode): ClusterNode {
  const found = [...cluster.nodes.values()].find(({ id }) => id !== one.id)
  if (found === undefined) throw new Error('there is no other node')
  return found
}

/** The node that leads after one did. */
function nextLeader(cluster: Cluster, old: ClusterNode): Promise<ClusterNode> {
  const all = () => [...cluster.nodes.values()]
  return until(() =>
    all().find(({ id, events }) => id !== old.id && events.at(-1) === `${id} true`),
  )
}

t.test('one node is a cluster, and finds its state again', async (t) => {
  const c = cluster(t)
  await c.startAll(['a'])
  const leader = await c.leader()
  t.match(await leader.node.propose(set('k', 1)), { result: null })
  t.match(await leader.node.propose(set('k', 2)), { result: '1' })
  await c.stop('a')
  const again = await c.start('a')
  await c.leader()
  t.equal(again.machine.values.get('k'), '2')
  t.match(await again.node.propose(set('k', 3)), { result: '2' })
  await again.node.readBarrier()
})

t.test('three nodes replicate, and read what was acknowledged on any of them', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const leader = await c.leader()
  const writes = Array.from({ length: 300 }, (_, at) => leader.node.propose(set(`k${at}`, at)))
  const results = await Promise.all(writes)
  t.equal(new Set(results.map(({ index }) => index)).size, 300)
  for (const { id, node, machine } of c.nodes.values()) {
    await node.readBarrier()
    t.equal(machine.values.size, 300, `${id} has it all`)
  }
  const follower = other(c, leader)
  const refused = await follower.node.propose(set('x', 1)).catch((error: unknown) => error)
  t.match(refused, { code: 'RAFT_NOT_LEADER', leaderId: leader.id }, 'it names the leader')
  const status = leader.node.status()
  t.match(status, { role: 'leader', voters: IDS, learners: [], joint: false, hasRoom: true })
  t.same(status.members.get('b'), { context: encoder.encode('host-b'), voter: true })
  t.match(status.peers.get(follower.id), { reachable: true, state: 'replicate' })
})

t.test('a killed leader is replaced, and nothing acknowledged is lost', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const first = await c.leader()
  for (let at = 0; at < 20; at += 1) await first.node.propose(set(`k${at}`, at))
  await c.kill(first.id)
  const second = await c.leader()
  t.not(second.id, first.id)
  t.equal(second.machine.values.size, 20, 'ready means that its state is complete')
  await second.node.propose(set('after', 1))
  const back = await c.start(first.id)
  await until(() => back.machine.values.get('after') === '1')
  t.equal(back.machine.values.size, 21)
})

t.test('a stopping leader hands over first', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const first = await c.leader()
  await first.node.propose(set('k', 1))
  const term = first.node.status().term
  await first.node.stop()
  t.equal(
    other(c, first).node.status().term,
    term + 1,
    'one election, and it is over when stop returns or right after',
  )
  await t.rejects(first.node.propose(set('k', 2)), { code: 'RAFT_STOPPED' })
  await t.rejects(first.node.readBarrier(), { code: 'RAFT_STOPPED' })
})

t.test(
  'a leader without a quorum steps down, and its last write is not acknowledged',
  async (t) => {
    const c = cluster(t)
    await c.startAll(IDS, { proposeTimeoutMs: 2_000, readTimeoutMs: 300 })
    const old = await c.leader()
    await old.node.propose(set('k', 'before'))
    c.network.cut(old.id)
    const lost = old.node.propose(set('k', 'lost'))
    lost.catch(() => {})
    const stale = old.node.readBarrier()
    await t.rejects(stale, { code: 'RAFT_UNAVAILABLE' }, 'a read needs a quorum')
    const next = await nextLeader(c, old)
    await next.node.propose(set('k', 'kept'))
    await until(() => old.node.status().role !== 'leader')
    c.network.heal(old.id)
    await t.rejects(lost, { code: 'RAFT_DROPPED' }, 'the proposer learns that it had no effect')
    await until(() => old.machine.values.get('k') === 'kept')
  },
)

t.test('a node joins as a learner, is promoted, removed, and comes back anew', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const leader = await c.leader()
  await leader.node.propose(set('k', 1))
  const joiner = await c.start('d')
  await leader.node.addLearner('d', encoder.encode('host-d'))
  await until(() => joiner.machine.values.get('k') === '1')
  t.match(leader.node.status(), { voters: IDS, learners: ['d'] })
  await leader.node.promote('d')
  await until(() => joiner.node.status().voters.includes('d'))
  t.same(joiner.node.status().members.get('a')?.context, encoder.encode('host-a'))
  await c.stop('d')
  const back = await c.start('d')
  t.same(back.node.status().voters, ['a', 'b', 'c', 'd'], 'the members survive a restart')
  await leader.node.removeNode('d')
  await until(() => back.events.includes('removed'))
  await t.rejects(leader.node.changeMembers([{ kind: 'add-voter', id: 'd' }]), {
    code: 'RAFT_DROPPED',
  })
  await leader.node.addLearner('d', encoder.encode('host-d'))
  await leader.node.propose(set('k', 2))
  await until(() => back.machine.values.get('k') === '2')
  await leader.node.promote('d')
  await until(() => back.node.status().voters.includes('d'))
  t.notOk(back.node.status().removed)
})

t.test('a member that was away when it was removed is told so', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const leader = await c.leader()
  const gone = other(c, leader)
  await c.stop(gone.id)
  await leader.node.removeNode(gone.id)
  const back = await c.start(gone.id)
  await until(() => back.events.includes('removed'))
  t.match(leader.node.status().voters.length, 2)
})

t.test('two voters change at once, and a leader that removes itself hands over', async (t) => {
  const c = cluster(t)
  await c.startAll(IDS)
  const leader = await c.leader()
  const gone = other(c, leader)
  await c.start('d')
  await leader.node.changeMembers([
    { kind: 'add-voter', id: 'd', context: encoder.encode('host-d') },
    { kind: 'remove', id: gone.id },
  ])
  t.match(leader.node.status(), { joint: false })
  t.ok(leader.node.status().voters.includes('d'))
  t.notOk(leader.node.status().voters.includes(gone.id))
  const refused = await leader.node.removeNode(leader.id).catch((error: unknown) => error)
  t.ok(refused instanceof NotLeaderError)
  const next = await nextLeader(c, leader)
  await next.node.removeNode(leader.id)
  await until(() => leader.events.includes('removed'))
})

/** A cluster that keeps little of its log, and one of its followers down. */
const oneAway = async (t: Parameters<typeof cluster>[0]) => {
  const c = cluster(t)
  await c.startAll(IDS, { keepEntriesMax: 100 })
  const leader = await c.leader()
  const away = other(c, leader).id
  await c.stop(away)
  return { c, leader, away }
}

t.test('a member that missed thousands of entries catches up by a snapshot', async (t) => {
  const { c, leader, away } = await oneAway(t)
  const large = 'v'.repeat(2_000)
  for (let round = 0; round < 20; round += 1) {
    const all = Array.from({ length: 100 }, (_, at) =>
      leader.node.propose(set(`k${round * 100 + at}`, large)),
    )
    await Promise.all(all)
  }
  await until(() => leader.node.status().firstIndex > 1_000)
  const back = await c.start(away, { keepEntriesMax: 100 })
  await until(() => back.machine.values.size === 2_000)
  t.ok(c.network.bulkCount > 10, 'it came in many pieces')
  t.ok(back.machine.largestPiece < 200, 'and was taken over in pieces')
  await leader.node.propose(set('k0', 'after'))
  await until(() => back.machine.values.get('k0') === 'after')
  t.ok(back.machine.applied.length < 500, 'most of it was never applied one by one')
  await c.stop(away)
  const again = await c.start(away, { keepEntriesMax: 100 })
  t.equal(again.machine.values.size, 2_000, 'the snapshot survives a restart')
})

t.test('while others write on, one snapshot is enough', async (t) => {
  const { c, leader, away } = await oneAway(t)
  const large = 'v'.repeat(2_000)
  let written = 0
  const write = async () => {
    await Promise.all(
      Array.from({ length: 50 }, () => leader.node.propose(set(`k${written++ % 100}`, large))),
    )
  }
  while (leader.node.status().firstIndex < 300) await write()
  const machine = new KeyValueMachine()
  let [restores, isInUse] = [0, false]
  machine.beginRestore = () => {
    restores += 1
    const restore = KeyValueMachine.prototype.beginRestore.call(machine)
    const commit = async (pause: () => Promise<void>) => {
      for (const end = written + 2_000; written < end; ) await pause()
      await restore.commit(pause)
      isInUse = true
    }
    return { ...restore, commit: restores > 1 ? commit : restore.commit }
  }
  const back = await c.start(away, { keepEntriesMax: 100, machine })
  for (let last = -1; !isInUse || (last !== leader.node.status().lastIndex && restores < 4); ) {
    await write()
    last = back.node.status().lastIndex
  }
  t.equal(restores, 2, 'its own state at the start, and that of the leader')
})

t.test('a member that can’t read the leader’s snapshot ends, and says why', async (t) => {
  const { c, leader, away } = await oneAway(t)
  const writes = Array.from({ length: 500 }, (_, at) => leader.node.propose(set(`k${at}`, at)))
  await Promise.all(writes)
  await until(() => leader.node.status().firstIndex > 300)
  const machine = new KeyValueMachine()
  machine.beginRestore = () => ({
    add: (entries) => {
      if (entries.length > 0) throw new Error('format 2')
    },
    commit: async () => {},
  })
  const back = await c.start(away, { keepEntriesMax: 100, machine })
  await until(() => back.fatal.length > 0)
  t.match(back.fatal, [
    {
      code: 'RAFT_STORAGE_UNREADABLE',
      message: /^the snapshot of the leader is whole, but .* \(format 2\): run the version/,
    },
  ])
})

t.test('a log without room refuses writes, says why, and the manager stays up', async (t) => {
  const c = cluster(t)
  let failure: Error | undefined
  const files = (real: WalFiles): WalFiles => ({
    list: () => real.list(),
    read: (name) => real.read(name),
    open: (name) => real.open(name),
    rename: (from, to) => real.rename(from, to),
    remove: (name) => real.remove(name),
    allocate: (name, bytes) =>
      failure === undefined ? real.allocate(name, bytes) : Promise.reject(failure),
  })
  const options = { files, wal: { segmentBytes: 64 * 1024 }, keepEntriesMax: 20 }
  await c.startAll(['a'], options)
  const { node } = await c.leader()
  failure = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  let refused: unknown
  for (let at = 0; at < 1_000 && refused === undefined; at += 1) {
    await node.propose(set(`k${at}`, 'v'.repeat(1_000))).catch((error: unknown) => {
      refused = error
    })
  }
  t.match(refused, {
    code: 'RAFT_LOG_FULL',
    message: /^the log of the manager gets no more room \(EACCES: permission denied\): /,
    cause: failure,
  })
  await node.readBarrier()
  t.pass('reads go on')
  failure = undefined
  await until(() => node.status().hasRoom)
  await node.propose(set('after', 1))
})

t.test('limits and aborts have errors of their own', async (t) => {
  const c = cluster(t)
  await c.startAll(['a'])
  const { node } = await c.leader()
  const tooLarge = node.propose(new Uint8Array(2 * 1024 * 1024))
  await t.rejects(tooLarge, { code: 'RAFT_TOO_LARGE' })
  const aborted = node.propose(set('k', 1), { signal: AbortSignal.abort() })
  await t.rejects(aborted, { code: 'RAFT_ABORTED' })
  t.match(await node.propose(set('k', 2)), { result: null }, 'it was not even begun')
  await t.rejects(node.transferLeadership('nobody'), { code: 'RAFT_DROPPED' })
  await t.rejects(node.removeNode('a'), { code: 'RAFT_DROPPED' }, 'the last voter stays')
})

t.test('whoever is stopped before it has started takes no part', async (t) => {
  const wal = new MemoryWal({ disk: new MemoryWalDisk(), clock: systemClock })
  const state = new MemoryStateStorage({ disk: new MemoryStateDisk(), clock: systemClock })
  const onMessage = () => t.fail('it listens')
  const node = new RaftNode(
    {
      ...{
        wal,
        state,
        clock: systemClock,
        random: Math.random,
        stateMachine: new KeyValueMachine(),
      },
      transport: { send: () => t.fail('it talks'), onMessage },
      log: { info: () => {}, warn: () => {} },
      onFatal: (error) => t.fail(error.message),
    },
    { id: 'a' },
  )
  const started = node.start()
  await Promise.all([node.stop(), t.rejects(started, { code: 'RAFT_STOPPED' })])
})

t.test('a follower begins to write an entry before it applies the one before', async (t) => {
  const happened: string[] = []
  class Machine extends KeyValueMachine {
    override apply(index: number, data: Uint8Array): ReturnType<KeyValueMachine['apply']> {
      happened.push(`applies ${index}`)
      return super.apply(index, data)
    }
  }
  const wal = new MemoryWal({ disk: new MemoryWalDisk(), clock: systemClock })
  const append = wal.append.bind(wal)
  wal.append = (batch) => {
    for (const { index } of batch.entries) happened.push(`writes ${index}`)
    return append(batch)
  }
  let hear: Parameters<RaftTransport['onMessage']>[0] = () => {}
  const transport: RaftTransport = {
    send: () => {},
    onMessage: (handler) => {
      hear = handler
    },
  }
  const state = new MemoryStateStorage({ disk: new MemoryStateDisk(), clock: systemClock })
  const node = new RaftNode(
    {
      ...{ wal, state, transport, clock: systemClock, stateMachine: new Machine() },
      ...{ random: () => 0.9, log: { info: () => {}, warn: () => {} } },
      onFatal: (error) => t.fail(error.message),
    },
    { id: 'b', initialVoters: IDS.map((id) => ({ id, context: encoder.encode(id) })) },
  )
  await node.start()
  t.teardown(() => node.stop())
  /** What the leader of term 2 sends: one entry, and that the one before it is committed. */
  const hearEntry = async (index: number) => {
    const prevTerm = index === 2 ? 1 : 2
    const entries = [createEntry({ index, term: 2 }, 'command', set('k', index))]
    const ends = { from: 'a', to: 'b', term: 2, prevIndex: index - 1, prevTerm, commit: index - 1 }
    hear('a', encodeMessage({ kind: 'append', ...ends, entries }))
    await until(() => happened.includes(`writes ${index}`) || undefined)
    await setTimeout(20)
  }
  happened.length = 0
  for (const index of [2, 3, 4]) await hearEntry(index)
  t.same(happened, ['writes 2', 'writes 3', 'applies 2', 'writes 4', 'applies 3'])
})
