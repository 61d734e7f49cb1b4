import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { Level } from 'level'
import t, { type Test } from 'tap'
import { loadNodeRecord } from '../../src/daemon/node-file.ts'
import { NodeKeys } from '../../src/daemon/node-keys.ts'
import { readBackup } from '../../src/daemon/restore.ts'
import { decodeTransaction } from '../../src/manager/store/codec.ts'
import { StoreState } from '../../src/manager/store/state.ts'
import { newUnlockKey } from '../../src/pki/data-key.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { FileWal } from '../../src/raft/wal.ts'
import { NodeWalFiles } from '../../src/raft/wal-files.ts'
import { decodeMessage, encodeMessage } from '../../src/raft/wire.ts'
import { restoreState } from '../support/restore-state.ts'
import { raftClock, SAMPLE } from '../support/samples.ts'

// What a released version wrote must be read for ever; what a newer one wrote is refused with one line, and left as it is.

const ROOT = resolve(import.meta.dirname, '../samples')
const FORMATS = readdirSync(ROOT)
const SECTOR_BYTES = 512

/** A copy of one format's samples, to open and to spoil. */
const copyOf = (t: Test, format: string): string => {
  const work = mkdtempSync(join(tmpdir(), 'samples-'))
  t.teardown(() => rmSync(work, { recursive: true }))
  cpSync(join(ROOT, format), work, { recursive: true })
  return work
}

const openLog = (directory: string) => {
  const files = new NodeWalFiles(join(directory, 'wal'))
  return new FileWal(
    { files, clock: raftClock, dataKey: SAMPLE.dataKey },
    { segmentBytes: 64 * 1024 },
  )
}

const openState = (directory: string) =>
  new LevelStateStorage(join(directory, 'state'), {
    ...{ clock: raftClock, dataKey: SAMPLE.dataKey },
    onTrouble: () => {},
  })

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(path)
}

const edit = (path: string, change: (bytes: Buffer) => void): void => {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

const refusedWithOneLine = async (t: Test, action: Promise<unknown>, words: RegExp) => {
  const error = await action.then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  )
  t.match(error?.message, words)
  t.equal(error?.message.split('\n').length, 1)
}

t.ok(FORMATS.includes('format-1'))
for (const format of FORMATS) {
  t.test(`${format}: log, state, keys and messages are read`, async (t) => {
    const work = copyOf(t, format)
    const wal = openLog(work)
    const contents = await wal.open()
    await wal.close()
    t.match(contents, { hardState: { term: 2, commit: 3 }, base: { index: 0, term: 0 } })
    const [, , command] = contents.entries
    t.strictSame(
      contents.entries.map(({ kind }) => kind),
      ['membership', 'noop', 'command'],
    )
    t.match(decodeTransaction(command?.data ?? new Uint8Array()), {
      put: [{ kind: 'cluster', object: { ID: SAMPLE.clusterId } }, { kind: 'node' }],
    })

    const storage = openState(work)
    const meta = await storage.open()
    t.match(meta, { index: 3, term: 2, membership: { removed: ['gone'] } })
    const state = new StoreState()
    await restoreState(state, 3, await storage.load())
    await storage.close()
    t.equal(state.view().cluster()?.ID, SAMPLE.clusterId)
    const [node] = state.view().list('node')

    t.match(await loadNodeRecord(join(work, 'node')), { nodeId: node?.ID, device: 'eth0' })
    const open = await NodeKeys.open(join(work, 'node'))
    t.match(open, { kind: 'open', credentials: { nodeId: node?.ID, role: 'manager' } })
    t.equal((await NodeKeys.open(join(work, 'node-locked')))?.kind, 'locked')
    const unlockKey = newUnlockKey(() => SAMPLE.unlockKeyBytes)
    t.equal((await NodeKeys.open(join(work, 'node-locked'), unlockKey))?.kind, 'open')

    for (const line of readFileSync(join(work, 'raft-messages.hex'), 'utf8').trim().split('\n')) {
      const message = decodeMessage(Buffer.from(line, 'hex'))
      t.equal(Buffer.from(encodeMessage(message)).toString('hex'), line, message.kind)
    }
    const backup = await readBackup(bytesOf(join(work, 'swarm.backup')), SAMPLE.passphrase)
    t.equal(backup.cluster.ID, SAMPLE.clusterId)
    t.equal(backup.node.ID, node?.ID)
  })
}

t.test('a newer format is refused with one line', async (t) => {
  const work = copyOf(t, 'format-1')
  const segment = join(work, 'wal', readdirSync(join(work, 'wal'))[0] as string)
  edit(segment, (bytes) => {
    bytes.writeUInt32BE(2, 8)
    // The header of the newer version is whole.
    const end = bytes.subarray(0, SECTOR_BYTES).findLastIndex((byte) => byte !== 0) + 1
    bytes.writeUInt32BE(crc32(bytes.subarray(0, end - 4)), end - 4)
  })
  await refusedWithOneLine(t, openLog(work).open(), /the log .* newer swarmctl \(format 2/)

  const db = new Level<string, Uint8Array>(join(work, 'state'), { valueEncoding: 'view' })
  await db.put('version', new Uint8Array([2]))
  await db.close()
  const state = openState(work)
  await refusedWithOneLine(t, state.open(), /the state .* newer swarmctl \(format 2/)
  await state.close()

  const json = (name: string, value: object) =>
    writeFileSync(join(work, 'node', name), JSON.stringify(value))
  json('node.json', { format: 2 })
  await refusedWithOneLine(t, loadNodeRecord(join(work, 'node')), /node\.json.*format 2/)
  json('credentials.json', { version: 3 })
  await refusedWithOneLine(t, NodeKeys.open(join(work, 'node')), /newer swarmctl \(format 3\)/)
  json('data-key.json', { version: 2 })
  await refusedWithOneLine(t, NodeKeys.open(join(work, 'node')), /newer swarmctl \(format 2\)/)

  const backup = join(work, 'swarm.backup')
  edit(backup, (bytes) => void bytes.writeUInt32BE(2, 8))
  const read = readBackup(bytesOf(backup), SAMPLE.passphrase)
  await refusedWithOneLine(t, read, /newer swarmctl \(format 2/)

  const [line = ''] = readFileSync(join(work, 'raft-messages.hex'), 'utf8').split('\n')
  const message = Buffer.from(line, 'hex')
  message[0] = 2
  t.throws(() => decodeMessage(message), /format version 2/)
  t.throws(() => decodeTransaction(new Uint8Array([2, 0])), /format 2 is a newer swarmctl's/)
})
