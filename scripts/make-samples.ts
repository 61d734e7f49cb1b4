/**
 * Writes what this version keeps on disk and sends, for later versions to prove that they still read it:
 * `node scripts/make-samples.ts`. Run it when a version with a new format is released; samples of released versions are never made
 * again. `test/contract/samples.test.ts` opens all of them.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sealBackup } from '../src/backup/sealed-file.ts'
import { NodeFile } from '../src/daemon/node-file.ts'
import { createCluster } from '../src/manager/ca/create-cluster.ts'
import { encodeTransaction } from '../src/manager/store/codec.ts'
import { StoreState } from '../src/manager/store/state.ts'
import { storeCredentials } from '../src/pki/credentials-file.ts'
import { newUnlockKey, storeDataKey } from '../src/pki/data-key.ts'
import { createEntry } from '../src/raft/entry.ts'
import type { Membership } from '../src/raft/membership.ts'
import { encodeMembershipCommand } from '../src/raft/membership-codec.ts'
import { encodeSnapshotMeta, encodeStateEntries } from '../src/raft/snapshot-message.ts'
import { LevelStateStorage } from '../src/raft/state-storage.ts'
import { FileWal } from '../src/raft/wal.ts'
import { NodeWalFiles } from '../src/raft/wal-files.ts'
import { encodeMessage, type WireMessage } from '../src/raft/wire.ts'
import { realClock } from '../test/support/rpc/cluster-fixture.ts'
import { raftClock, SAMPLE } from '../test/support/samples.ts'

/** Formats change together with this number, which names the folder. */
const FORMAT = 1
const ROOT = resolve(import.meta.dirname, `../test/samples/format-${FORMAT}`)

const created = await createCluster(
  { clock: realClock, newId: () => SAMPLE.clusterId },
  { spec: { Name: 'default', Labels: {} }, addr: SAMPLE.addr, hostname: 'sample' },
)
const context = Buffer.from(SAMPLE.addr)
const selfId = created.node.ID
const members: Membership = {
  ...{ voters: [selfId], outgoing: [], learners: [], learnersNext: [], removed: ['gone'] },
  contexts: new Map([[selfId, context]]),
}
const command = encodeTransaction({
  timeMs: SAMPLE.timeMs,
  expect: [{ kind: 'cluster', id: created.cluster.ID, version: 0 }],
  put: [
    { kind: 'cluster', object: created.cluster },
    { kind: 'node', object: created.node },
  ],
  remove: [],
})
const joined = encodeMembershipCommand({
  kind: 'change',
  changes: [{ kind: 'add-voter', id: selfId, context }],
})
const entries = [
  createEntry({ index: 1, term: 1 }, 'membership', joined),
  createEntry({ index: 2, term: 2 }, 'noop'),
  createEntry({ index: 3, term: 2 }, 'command', command),
]
const meta = { index: 3, term: 2, membership: members }

rmSync(ROOT, { recursive: true, force: true })
mkdirSync(ROOT, { recursive: true })
await writeLog()
await writeState()
await writeKeys()
await writeBackup()
writeMessages()
process.stdout.write(`${ROOT}\n`)

async function writeLog(): Promise<void> {
  const files = new NodeWalFiles(join(ROOT, 'wal'))
  const wal = new FileWal(
    { files, clock: raftClock, dataKey: SAMPLE.dataKey },
    { segmentBytes: 64 * 1024 },
  )
  await wal.open()
  const hardState = { term: 2, vote: selfId, commit: 3 }
  await wal.append({ hardState, reset: null, entries })
  await wal.close()
  rmSync(join(ROOT, 'wal/spare.seg'), { force: true })
}

async function writeState(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'samples-'))
  const state = new LevelStateStorage(work, {
    ...{ clock: raftClock, dataKey: SAMPLE.dataKey },
    onTrouble: (error) => {
      throw error
    },
  })
  await state.open()
  const { writes } = new StoreState().apply(3, command)
  state.write(meta, writes)
  await state.flush()
  await state.close()
  cpSync(work, join(ROOT, 'state'), { recursive: true, filter: (path) => !/LOCK|LOG/.test(path) })
  rmSync(work, { recursive: true })
}

async function writeKeys(): Promise<void> {
  const { credentials } = created
  for (const name of ['node', 'node-locked']) mkdirSync(join(ROOT, name))
  await new NodeFile(join(ROOT, 'node')).store({
    ...{ nodeId: selfId, clusterId: SAMPLE.clusterId, listenAddr: '0.0.0.0:2377' },
    ...{ advertiseAddr: SAMPLE.addr, dataPathAddr: '10.0.0.1', device: 'eth0', hasLog: true },
    managers: [{ nodeId: selfId, addr: SAMPLE.addr }],
  })
  await storeDataKey(join(ROOT, 'node'), SAMPLE.dataKey)
  await storeCredentials(join(ROOT, 'node'), credentials)
  const unlockKey = newUnlockKey(() => SAMPLE.unlockKeyBytes)
  await storeDataKey(join(ROOT, 'node-locked'), SAMPLE.dataKey, unlockKey)
  await storeCredentials(join(ROOT, 'node-locked'), credentials, SAMPLE.dataKey)
}

async function writeBackup(): Promise<void> {
  const state = new StoreState()
  const { writes } = state.apply(3, command)
  const head = {
    ...{ clusterId: created.cluster.ID, nodeId: selfId, index: 3, version: '0.1.0' },
    createdAt: new Date(SAMPLE.timeMs).toISOString(),
    meta: Buffer.from(encodeSnapshotMeta(meta)).toString('base64'),
  }
  async function* chunks() {
    yield Buffer.from(JSON.stringify(head))
    yield encodeStateEntries(writes.map(({ key, value }) => [key, value as Uint8Array] as const))
  }
  const parts: Buffer[] = []
  for await (const part of sealBackup(chunks(), SAMPLE.passphrase)) parts.push(part)
  writeFileSync(join(ROOT, 'swarm.backup'), Buffer.concat(parts))
}

/** One message of each kind, as it is between managers; hexadecimal, one a line. */
function writeMessages(): void {
  const envelope = { from: 'a', to: 'b', term: 7 }
  const messages: WireMessage[] = [
    { ...envelope, kind: 'append', prevIndex: 0, prevTerm: 0, commit: 3, entries },
    { ...envelope, kind: 'timeout-now' },
    { ...envelope, kind: 'read-index', token: 5 },
    {
      ...{ ...envelope, kind: 'snapshot-chunk', stream: 1, sequence: 2, last: true },
      ...{ checksum: 3, payload: Buffer.from('payload') },
    },
    { ...envelope, kind: 'snapshot-ack', stream: 1, next: 3, refused: false },
  ]
  const lines = messages.map((message) => Buffer.from(encodeMessage(message)).toString('hex'))
  writeFileSync(join(ROOT, 'raft-messages.hex'), `${lines.join('\n')}\n`)
}
