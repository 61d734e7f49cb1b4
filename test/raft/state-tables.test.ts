// Damage in LevelDB's tables: found before LevelDB, which ends the process at some of it, reads them.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import { castagnoliOf } from '../../src/raft/checksum.ts'
import { tablesIn } from '../../src/raft/level-manifest.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { checkTables } from '../../src/raft/state-tables.ts'
import { metaAt, value } from '../contract/state-storage-suite.ts'
import { interposeLevel } from '../support/raft/level-faults.ts'

const CORRUPT = 'RAFT_STORAGE_CORRUPT'
const dataKey = new Uint8Array(32).fill(3)
/** Nothing happens by itself: each test says when there is a flush. */
const clock = { after: () => () => {}, defer: () => {} }
let root = ''
let directory = ''
t.beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'raft-tables-'))
  directory = join(root, 'state')
})
t.afterEach(() => rm(root, { recursive: true, force: true }))

async function opened(troubles: string[] = []): Promise<LevelStateStorage> {
  const onTrouble = (error: { code: string }) => void troubles.push(error.code)
  const state = new LevelStateStorage(directory, { clock, dataKey, onTrouble })
  try {
    await state.open()
    return state
  } catch (error) {
    await state.close()
    throw error
  }
}

/** Two tables: LevelDB makes one of what is in its log when it is opened again. */
async function writeTables(): Promise<void> {
  for (const indexes of [[1, 2], [3, 4], []]) {
    const state = await opened()
    await state.load()
    for (const index of indexes) {
      state.write(metaAt(index), [{ key: `service/${index}`, value: value(`text ${index}`) }])
      await state.flush()
    }
    await state.close()
  }
}

const tables = async () => (await readdir(directory)).filter((name) => name.endsWith('.ldb'))

/** The index and all values, as a start finds them, or why it doesn't. */
async function found(): Promise<string> {
  let state: LevelStateStorage | undefined
  try {
    state = await opened()
    const entries = await state.load()
    return [state.flushedIndex, ...entries.map(([, bytes]) => Buffer.from(bytes))].join()
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error)
  } finally {
    await state?.close()
  }
}

t.test('each flipped bit of a table is found, or changes nothing', async (t) => {
  await writeTables()
  const copy = join(root, 'copy')
  await cp(directory, copy, { recursive: true })
  const outcomes = new Map<string, number>()
  t.equal((await tables()).length, 2)
  for (const name of await tables()) {
    const bytes = await readFile(join(directory, name))
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      await writeFile(join(directory, name), flipped)
      const outcome = await found()
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      await writeFile(join(directory, name), bytes)
      if (outcome === CORRUPT) continue
      // LevelDB has opened it, and written.
      await rm(directory, { recursive: true })
      await cp(copy, directory, { recursive: true })
    }
  }
  const whole = '4,text 1,text 2,text 3,text 4'
  t.strictSame(new Set(outcomes.keys()), new Set([CORRUPT, whole]))
  // What pads a footer.
  t.ok((outcomes.get(whole) ?? 0) < 100)
})

t.test('zeros in a table, and the end of one that is cut off, are found', async (t) => {
  await writeTables()
  const [name = ''] = await tables()
  const bytes = await readFile(join(directory, name))
  for (const damaged of [
    Buffer.concat([Buffer.alloc(200), bytes.subarray(200)]),
    bytes.subarray(0, -60),
    Buffer.alloc(0),
  ]) {
    await writeFile(join(directory, name), damaged)
    t.equal(await found(), CORRUPT)
  }
  await rm(join(directory, name))
  t.equal(await found(), CORRUPT, 'LevelDB itself misses a table')
})

t.test('what names no list of tables is damage', async (t) => {
  await writeTables()
  for (const damaged of [Buffer.alloc(0), Buffer.alloc(16), Buffer.from('\n')]) {
    await writeFile(join(directory, 'CURRENT'), damaged)
    t.equal(await found(), CORRUPT)
  }
})

t.test('a table that a crash left half written is none of the state', async (t) => {
  await writeTables()
  await writeFile(join(directory, '000099.ldb'), Buffer.alloc(500))
  t.equal(await found(), '4,text 1,text 2,text 3,text 4')
  t.notOk((await tables()).includes('000099.ldb'))
})

interface LevelOnDisk {
  compactRange(start: string, end: string): Promise<void>
  getProperty(name: string): string
}

t.test('the tables in use are those of LevelDB, which are whole', async (t) => {
  const db = new Level<string, string>(directory, { compression: false }) as Level<string, string> &
    LevelOnDisk
  // Changes of the list that are longer than a block of it, and tables that come and go.
  for (let round = 0; round < 30; round += 1) {
    await db.put(String(round % 7).repeat(9_000), 'x'.repeat(round * 1_000))
    await db.compactRange('0', '9')
  }
  const used = [...db.getProperty('leveldb.sstables').matchAll(/^ (\d+):/gm)]
  await db.close()
  const current = (await readFile(join(directory, 'CURRENT'), 'utf8')).trim()
  const manifest = await readFile(join(directory, current))
  t.ok(manifest.length > 5 * 32 * 1024)
  t.ok(used.length > 0)
  t.strictSame([...tablesIn(manifest)].sort(), used.map(([, number]) => Number(number)).sort())
  await checkTables(directory)
  // What is cut off, or damaged, is left to LevelDB.
  tablesIn(manifest.subarray(0, -1))
  tablesIn(Buffer.concat([manifest.subarray(0, 40_000), Buffer.alloc(40_000)]))
})

t.test('LevelDB’s sums are those of RFC 3720', async (t) => {
  t.equal(castagnoliOf(new TextEncoder().encode('123456789')), 0xe3069283)
  t.equal(castagnoliOf(new Uint8Array(32)), 0x8a9136aa)
})

const corruption = () =>
  Object.assign(new Error('Corruption: bad entry in block'), { code: 'LEVEL_CORRUPTION' })

for (const read of ['get', 'iterator'] as const) {
  t.test(`damage that LevelDB finds by its ${read} is damage`, async (t) => {
    await writeTables()
    const failing = () => Promise.reject(corruption())
    const iterator = { next: failing, nextv: failing, close: async () => {} }
    const state = read === 'iterator' ? await opened() : undefined
    interposeLevel(t, read, () => (read === 'get' ? failing() : iterator))
    const damaged = { code: CORRUPT, cause: { message: 'Corruption: bad entry in block' } }
    if (state === undefined) {
      await t.rejects(opened(), damaged)
      return
    }
    await t.rejects(state.load(), damaged)
    const view = await state.openView()
    await t.rejects(view.next(1), damaged)
    await state.close()
  })
}

t.test('a disk that can’t be read is not called damaged', async (t) => {
  await writeTables()
  const refusal = Object.assign(new Error('IO error: 000005.ldb: Input/output error'), {
    code: 'LEVEL_IO_ERROR',
  })
  interposeLevel(t, 'get', () => Promise.reject(refusal))
  await t.rejects(opened(), {
    code: 'RAFT_STORAGE_FAILED',
    message: /^the state could not be read \(.*Input\/output error\)$/,
  })
})
