// What a leader remembers of others: of followers, and of who waits for a proposal.

import t from 'tap'
import { createEntry, type Entry } from '../../src/raft/entry.ts'
import { OutcomeUnknownError, ProposalDroppedError } from '../../src/raft/errors.ts'
import { HeldAppends } from '../../src/raft/held-appends.ts'
import { HELD_FACTOR, RaftLog } from '../../src/raft/log.ts'
import { EMPTY_MEMBERSHIP } from '../../src/raft/membership.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../src/raft/memory-state-storage.ts'
import type { AppendRequest } from '../../src/raft/message.ts'
import { Progress } from '../../src/raft/progress.ts'
import { type ProposalResult, Proposals } from '../../src/raft/proposals.ts'
import { ReadBarriers } from '../../src/raft/read-barriers.ts'
import type { SnapshotChunk } from '../../src/raft/snapshot-message.ts'
import { SnapshotSender } from '../../src/raft/snapshot-sender.ts'
import { bytes, CoreNetwork } from '../support/raft/core-network.ts'
import { systemClock } from '../support/raft/system-clock.ts'

const LIMITS = { messagesMax: 4, bytesMax: 1_000 }

t.test('etcd Progress.MaybeDecrTo: a rejection of an earlier probe is not believed', async (t) => {
  const progress = new Progress(9, LIMITS)
  progress.onMatched(2)
  progress.becomeProbe(9)
  t.ok(progress.onRejected(8, 5), 'the probe after 8 was rejected: try after 5')
  t.equal(progress.next, 6)
  t.notOk(progress.onRejected(8, 3), 'the same answer again, and late')
  t.equal(progress.next, 6)
  t.equal(progress.match, 2)
  t.ok(progress.onRejected(5, 0), 'the newest answer counts')
  t.equal(progress.next, 3, 'never before what is known to match')
  t.equal(progress.match, 2)
})

/** A sender of a state at index 39. */
function sending(onFinished: () => void) {
  const disk = new MemoryStateDisk()
  disk.meta = { index: 39, term: 2, membership: EMPTY_MEMBERSHIP }
  const sent: SnapshotChunk[] = []
  const state = new MemoryStateStorage({ disk, clock: systemClock })
  const sender = new SnapshotSender({
    ...{ id: 'a', state },
    log: { info: () => {}, warn: () => {} },
    send: (chunk) => sent.push(chunk),
    onFinished,
    firstStream: 1,
    tickMs: 25,
  })
  return { sender, sent, state }
}

const nothing = () => 0

t.test(
  'the log is kept for a snapshot under way, and no longer when its taker is removed',
  async (t) => {
    const { sender, sent } = sending(() => t.fail('nobody waits for it'))
    t.equal(sender.lowestIndex(nothing), Number.MAX_SAFE_INTEGER)
    sender.start('b', 2)
    sender.start('c', 2)
    await new Promise(setImmediate)
    t.strictSame(sent.map(({ to }) => to).sort(), ['b', 'c'])
    t.equal(sender.lowestIndex(nothing), 39)
    sender.keepOnly(['a', 'c'])
    t.equal(sender.lowestIndex(nothing), 39)
    sender.keepOnly(['a'])
    t.equal(sender.lowestIndex(nothing), Number.MAX_SAFE_INTEGER)
  },
)

t.test('the log is kept for a while for who got a snapshot, after what it has', async (t) => {
  let finished = 0
  const { sender, sent } = sending(() => {
    finished += 1
  })
  const get = async () => {
    sender.start('b', 2)
    for (const before = finished; finished === before; ) {
      await new Promise(setImmediate)
      const { stream, sequence } = sent.at(-1) as SnapshotChunk
      const ack = { from: 'b', to: 'a', term: 2, stream, next: sequence + 1, refused: false }
      sender.onAck({ kind: 'snapshot-ack', ...ack })
    }
  }
  await get()
  t.equal(sender.lowestIndex(nothing), 39)
  t.equal(
    sender.lowestIndex(() => 45),
    45,
  )
  for (let tick = 0; tick < 1_200; tick += 1) sender.tick()
  t.equal(sender.lowestIndex(nothing), Number.MAX_SAFE_INTEGER, 'it may have ended meanwhile')
  await get()
  sender.keepOnly(['a'])
  t.equal(sender.lowestIndex(nothing), Number.MAX_SAFE_INTEGER, 'it is removed')
  await get()
  sender.stop()
  t.equal(sender.lowestIndex(nothing), Number.MAX_SAFE_INTEGER, 'another one leads')
})

t.test('a view that comes too late, and can’t be closed, harms nobody', async (t) => {
  const { sender, sent, state } = sending(() => t.fail('nobody waits for it'))
  let closed = 0
  const openView = state.openView.bind(state)
  state.openView = async () => ({
    ...(await openView()),
    close: () => {
      closed += 1
      return Promise.reject(new Error('EIO'))
    },
  })
  sender.start('b', 2)
  sender.stop()
  while (closed === 0) await new Promise(setImmediate)
  // An error that nobody takes ends the process in the next turn.
  await new Promise(setImmediate)
  t.strictSame(sent, [])
})

t.test('what is known to be durable there is not rejected', async (t) => {
  const progress = new Progress(5, LIMITS)
  progress.onMatched(4)
  progress.becomeReplicate()
  t.notOk(progress.onRejected(3, 1))
  t.equal(progress.match, 4)
  t.equal(progress.next, 5)
})

t.test(
  '§6.3 who proposed an entry that a new term replaced is told that nobody knows',
  async (t) => {
    const proposals = new Proposals()
    const wait = (term: number) => {
      let outcome: ProposalResult | Error | undefined
      const proposer = {
        resolve: (result: ProposalResult) => {
          outcome = result
        },
        reject: (error: Error) => {
          outcome = error
        },
        deadlineTick: 1_000,
      }
      proposals.onProposed({ kind: 'proposed', firstIndex: 7, term, count: 1 }, [proposer])
      return () => outcome
    }
    const first = wait(2)
    const second = wait(4)
    t.ok(
      first() instanceof OutcomeUnknownError,
      'entry 7 of term 2 may come back from a third node',
    )
    t.equal(second(), undefined)
    proposals.onApplied(createEntry({ index: 7, term: 2 }, 'command', bytes('x')), 'result')
    t.ok(second() instanceof ProposalDroppedError, 'it did come back: entry 7 of term 4 is gone')
  },
)

t.test(
  'of reads that were given up nothing is left, however long nothing is applied',
  async (t) => {
    const reads = new ReadBarriers(4, 0)
    const failed: string[] = []
    for (let tick = 1; tick <= 50; tick += 1) {
      const reject = (error: Error) => void failed.push(error.name)
      reads.add({ resolve: () => t.fail('nothing was applied'), reject, deadlineTick: tick + 10 })
      const token = reads.nextToken(tick)
      t.not(token, undefined)
      reads.onConfirmed(token ?? 0, 7)
      reads.expire(tick)
    }
    t.equal(failed.length, 40)
    t.equal(reads.confirmedCount, 10)
  },
)

t.test('of many proposals as many are taken as may be uncommitted', async (t) => {
  const { core } = new CoreNetwork(['a', 'b'], { options: { uncommittedBytesMax: 1_000 } })
    .elect('a')
    .get('a')
  const proposals = new Proposals()
  const refused: Error[] = []
  for (let at = 0; at < 10; at += 1) {
    const reject = (error: Error) => void refused.push(error)
    proposals.enqueue(new Uint8Array(300), { resolve: () => {}, reject, deadlineTick: 9 })
  }
  proposals.proposeQueued((commands) => core.propose(commands))
  t.equal(proposals.count, 4)
  t.equal(core.log.last.index, 5, 'behind the no-op')
  t.equal(refused.length, 6)
  t.ok(refused.every((error) => error instanceof ProposalDroppedError))
})

t.test('for takers of a snapshot the log is kept, but not without end', async (t) => {
  const entries = Array.from({ length: 50 }, (_, at) =>
    createEntry({ index: at + 1, term: 1 }, 'command', new Uint8Array(100)),
  )
  const log = new RaftLog({ index: 0, term: 0 }, entries, 50, 50)
  const entryBytes = entries[0]!.bytes.length
  const limits = { to: 40, heldTo: 7, keepEntriesMax: 10 }
  t.equal(log.compactionIndex({ ...limits, keepBytesMax: entryBytes * 50 }), 7)
  t.equal(log.compactionIndex({ ...limits, keepBytesMax: (entryBytes * 50) / HELD_FACTOR }), 7)
  t.equal(log.compactionIndex({ ...limits, keepBytesMax: (entryBytes * 49) / HELD_FACTOR }), 40)
})

/** What is held goes out when a test says that the time is over. */
function holding(): { held: HeldAppends; sent: AppendRequest[]; passTime: () => void } {
  const sent: AppendRequest[] = []
  let timer: (() => void) | undefined
  const after = (_: number, callback: () => void) => {
    timer = callback
    return () => {
      timer = undefined
    }
  }
  const clock = { after, defer: () => {} }
  const held = new HeldAppends(clock, (message) => sent.push(message as AppendRequest))
  const passTime = () => {
    const due = timer
    timer = undefined
    due?.()
  }
  return { held, sent, passTime }
}

const append = (commit: number, entries: readonly Entry[] = []): AppendRequest => ({
  ...{ kind: 'append', from: 'a', to: 'b', term: 1, prevIndex: commit, prevTerm: 1 },
  ...{ entries, commit },
})

t.test(
  'that something is committed is told with the next entries, or alone after a while',
  async (t) => {
    const { held, sent, passTime } = holding()
    const entry = createEntry({ index: 9, term: 1 }, 'command', bytes('x'))
    held.pass(append(1))
    held.pass(append(2))
    passTime()
    t.same(sent, [], 'how long it waited is not known yet')
    passTime()
    t.same(sent, [append(2)], 'once, and the newest')
    held.pass(append(3))
    passTime()
    held.pass(append(3, [entry]))
    held.pass(append(4))
    passTime()
    t.same(sent.slice(1), [append(3, [entry])], 'what came after entries waits anew')
    passTime()
    t.same(sent.slice(2), [append(4)])
    passTime()
    t.equal(sent.length, 3, 'nothing is left')
  },
)
