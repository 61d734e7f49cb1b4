import t from 'tap'
import { checksumOf } from '../../src/raft/checksum.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../src/raft/memory-state-storage.ts'
import {
  encodeSnapshotMeta,
  encodeStateEntries,
  type SnapshotAck,
} from '../../src/raft/snapshot-message.ts'
import { SnapshotReceiver, type StagedSnapshot } from '../../src/raft/snapshot-receiver.ts'
import { metaAt, value } from '../contract/state-storage-suite.ts'
import { KeyValueMachine } from '../support/raft/cluster.ts'
import { systemClock as clock } from '../support/raft/system-clock.ts'

/** A receiver, and what a leader would see of it. */
const start = () => {
  const acks: SnapshotAck[] = []
  const complete: StagedSnapshot[] = []
  const stateMachine = new KeyValueMachine()
  const receiver = new SnapshotReceiver({
    ...{ id: 'b', stateMachine, log: { info() {}, warn() {} } },
    state: new MemoryStateStorage({ disk: new MemoryStateDisk(), clock }),
    send: (ack) => acks.push(ack),
    isUseful: () => true,
    onComplete: (staged) => complete.push(staged),
    onUnreadable: (error) => {
      throw error
    },
  })
  const send = async (from: string, sequence: number, payload: Uint8Array, last = false) => {
    receiver.onChunk({
      ...{ kind: 'snapshot-chunk', from, to: 'b', term: 3, stream: 7, sequence, last },
      ...{ checksum: checksumOf(payload), payload },
    })
    await new Promise(setImmediate)
    const { next, refused } = acks.at(-1) ?? {}
    return refused ? 'refused' : next
  }
  return { receiver, send, complete, stateMachine }
}

const meta = encodeSnapshotMeta(metaAt(90))
const piece = (key: string) => encodeStateEntries([[key, value('1')]])

t.test('each piece is taken in as it comes, once', async (t) => {
  const { send, complete, stateMachine } = start()
  t.equal(await send('a', 0, meta), 1)
  t.equal(await send('a', 1, piece('x')), 2)
  t.equal(await send('a', 1, piece('x')), 2, 'its answer got lost')
  t.equal(await send('a', 2, piece('y'), true), 3)
  t.equal(await send('a', 2, piece('y'), true), 3)
  t.equal(complete.length, 1)
  t.equal(stateMachine.values.size, 0, 'it is not in use')
  await complete[0]?.restore.commit(async () => {})
  t.same([...stateMachine.values.keys()], ['x', 'y'])
})

t.test('another leader begins anew, the same one goes on', async (t) => {
  const { receiver, send, complete } = start()
  await send('a', 0, meta)
  receiver.onLeader('a')
  t.equal(await send('a', 1, piece('x')), 2)
  receiver.onLeader('c')
  t.equal(await send('a', 2, piece('y'), true), 'refused')
  t.equal(await send('c', 0, meta), 1)
  t.equal(await send('c', 1, piece('z'), true), 2)
  t.match(complete, [{ from: 'c' }])
})
