import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { RaftProposer } from '../../src/daemon/raft-proposer.ts'
import { MemoryProposer } from '../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../src/manager/store/state.ts'
import { RaftNode } from '../../src/raft/node.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { FileWal } from '../../src/raft/wal.ts'
import { NodeWalFiles } from '../../src/raft/wal-files.ts'
import { systemClock } from '../support/raft/system-clock.ts'
import { proposerSuite } from './proposer-suite.ts'

t.test('in memory', async (t) => {
  const state = new StoreState()
  await proposerSuite(t, { state, proposer: new MemoryProposer(state) })
})

/** A cluster of one on real storage. */
const startRaft = async (directory: string) => {
  const state = new StoreState()
  const shared = { clock: systemClock, dataKey: new Uint8Array(32).fill(7) }
  let onReady = () => {}
  const ready = new Promise<void>((resolve) => {
    onReady = resolve
  })
  const node = new RaftNode(
    {
      wal: new FileWal(
        { files: new NodeWalFiles(join(directory, 'wal')), ...shared },
        { segmentBytes: 4 * 1024 * 1024 },
      ),
      state: new LevelStateStorage(join(directory, 'state'), { ...shared, onTrouble() {} }),
      transport: { send() {}, onMessage() {} },
      stateMachine: state,
      log: { info() {}, warn() {} },
      clock: systemClock,
      random: Math.random,
      onFatal(error) {
        throw error
      },
      onLeaderChange: (_leader, isReady) => {
        if (isReady) onReady()
      },
    },
    { id: 'one', initialVoters: [{ id: 'one', context: new Uint8Array() }] },
  )
  await node.start()
  await ready
  return { state, node, proposer: new RaftProposer(() => node) }
}

t.test('raft, which has the same state after a restart', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'proposer-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const first = await startRaft(directory)
  await proposerSuite(t, first)
  await first.node.stop()
  const second = await startRaft(directory)
  const contents = ({ state }: { state: StoreState }) =>
    state
      .view()
      .list('secret')
      .toSorted((a, b) => (a.ID < b.ID ? -1 : 1))
  t.equal(contents(second).length, 52)
  t.same(contents(second), contents(first))
  await second.node.stop()
})
