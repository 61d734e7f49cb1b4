import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import { StateSeal } from '../../src/raft/state-seal.ts'
import { FLUSH_DELAY_MS, LevelStateStorage } from '../../src/raft/state-storage.ts'
import { metaAt, value } from '../contract/state-storage-suite.ts'
import { interposeLevel } from '../support/raft/level-faults.ts'
import { systemClock as clock } from '../support/raft/system-clock.ts'

const dataKey = new Uint8Array(32).fill(3)
let directory = ''
t.beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raft-state-'))
})
t.afterEach(() => rm(directory, { recursive: true, force: true }))

function storage(key = dataKey): LevelStateStorage {
  return new LevelStateStorage(directory, { clock, dataKey: key, onTrouble: () => {} })
}

async function write(count: number): Promise<void> {
  const state = storage()
  await state.open()
  await state.load()
  const writes = Array.from({ length: count }, (_, at) => ({
    key: `service/${at}`,
    value: value(`a secret of ${at}`),
  }))
  state.write(metaAt(5), writes)
  await state.close()
}

/** Changes what is stored behind the storage's back. */
async function tamper(change: (db: Level<string, Uint8Array>) => Promise<void>): Promise<void> {
  const db = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' })
  await change(db)
  await db.close()
}

async function loadAll(): Promise<number> {
  const state = storage()
  try {
    await state.open()
    return (await state.load()).length
  } finally {
    await state.close()
  }
}

t.test('no value can be read in the files', async (t) => {
  await write(10)
  for (const name of await readdir(directory)) {
    t.notOk((await readFile(join(directory, name))).includes('secret'), name)
  }
})

/** The key of a block of the first generation. */
const block = (number: number) => `a${number.toString(16).padStart(13, '0')}`

/** Three blocks, one for each flush. */
async function writeThree(text: string): Promise<void> {
  const state = storage()
  await state.open()
  await state.load()
  for (const at of [1, 2, 3]) {
    state.write(metaAt(at), [{ key: `service/${at}`, value: value(`${text} ${at}`) }])
    await state.flush()
  }
  await state.close()
}

for (const lost of [0, 1, 2]) {
  t.test(`block ${lost} of 3 that LevelDB lost without an error is missed at start`, async (t) => {
    await writeThree('text')
    t.equal(await loadAll(), 3)
    await tamper((db) => db.del(block(lost)))
    await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
  })
}

t.test('a flipped bit and a misplaced block are found', async (t) => {
  await writeThree('text')
  const sealed = Uint8Array.from(await stored(block(1)))
  await tamper((db) => {
    const flipped = Uint8Array.from(sealed)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    return db.put(block(1), flipped)
  })
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
  await tamper((db) => db.put(block(1), sealed))
  t.equal(await loadAll(), 3)
  await tamper((db) => db.put(block(2), sealed))
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
})

for (const old of [1, 2]) {
  t.test(`another block in the place of block ${old} is found`, async (t) => {
    await writeThree('older')
    const other = Uint8Array.from(await stored(block(old)))
    await rm(directory, { recursive: true })
    await writeThree('newer')
    await tamper((db) => db.put(block(old), other))
    await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
  })
}

async function stored(key: string): Promise<Uint8Array> {
  let sealed: Uint8Array | undefined
  await tamper(async (db) => {
    sealed = await db.get(key)
  })
  return sealed ?? new Uint8Array(0)
}

/** Many flushes of large values to few keys, some removed; what should be left. */
async function churn(state: LevelStateStorage, flushes: number): Promise<Map<string, string>> {
  const left = new Map<string, string>([['kept/0', 'from the first block']])
  state.write(metaAt(1), [{ key: 'kept/0', value: value('from the first block') }])
  for (let index = 2; index < flushes + 2; index += 1) {
    const key = `k${(index * 7) % 13}`
    const text = `${index}:${'x'.repeat(40_000)}`
    if (index % 5 === 0) {
      left.delete(key)
      state.write(metaAt(index), [{ key, value: null }])
    } else {
      left.set(key, text)
      state.write(metaAt(index), [{ key, value: value(text) }])
    }
    await state.flush()
  }
  return left
}

t.test('what was replaced and removed does not stay on the disk', async (t) => {
  const state = storage()
  await state.open()
  await state.load()
  const left = await churn(state, 300)
  await state.close()
  let blocks = 0
  await tamper(async (db) => {
    for await (const key of db.keys({ gte: 'a', lt: 'b' })) blocks += key.length > 1 ? 1 : 0
  })
  // 13 keys of 40 kB, as much waste, and 1 MiB: the rest of 300 is gone.
  t.ok(blocks < 80, `${blocks} blocks`)
  const again = storage()
  await again.open()
  const loaded = (await again.load()).map(([key, bytes]) => [key, new TextDecoder().decode(bytes)])
  t.same(new Map(loaded as [string, string][]), left)
  await again.close()
})

t.test('a view that was opened before old blocks are written anew sees all of them', async (t) => {
  const state = storage()
  await state.open()
  await state.load()
  const before = await churn(state, 40)
  const view = await state.openView()
  state.write(metaAt(1_000), [{ key: 'kept/0', value: value('later') }])
  for (let index = 1_001; index < 1_100; index += 1) {
    state.write(metaAt(index), [{ key: 'k1', value: value('y'.repeat(40_000)) }])
    await state.flush()
  }
  const seen = new Map<string, string>()
  for (;;) {
    const entries = await view.next(100_000)
    if (entries === null) break
    for (const [key, bytes] of entries) {
      t.notOk(seen.has(key), `${key} comes once`)
      seen.set(key, new TextDecoder().decode(bytes))
    }
  }
  await view.close()
  await state.close()
  t.same(seen, before)
})

const UNREADABLE: [how: string, read: () => Promise<Uint8Array>][] = [
  ['garbage', () => Promise.resolve(new Uint8Array(64))],
  [
    'an error of LevelDB',
    () =>
      Promise.reject(Object.assign(new Error('bad entry in block'), { code: 'LEVEL_CORRUPTION' })),
  ],
]

for (const [how, read] of UNREADABLE)
  t.test(`a block that became ${how} while the node runs stops no flush`, async (t) => {
    const troubles: string[] = []
    const state = new LevelStateStorage(directory, {
      ...{ clock, dataKey },
      onTrouble: (error) => void troubles.push(error.code),
    })
    await state.open()
    await state.load()
    state.write(metaAt(1), [{ key: 'kept/0', value: value('v') }])
    await state.flush()
    interposeLevel(t, 'get', ([key], proceed) => (key === block(0) ? read() : proceed()))
    const left = await churn(state, 100)
    t.same(troubles, ['RAFT_STORAGE_CORRUPT'], 'told once')
    t.equal(state.flushedIndex, 101)
    await state.close()
    t.equal(await loadAll(), left.size, 'all that was written since is there')
  })

t.test('another data key and another format version are refused', async (t) => {
  await write(1)
  const other = storage(new Uint8Array(32).fill(4))
  await t.rejects(other.open(), { code: 'RAFT_STORAGE_KEY' })
  await other.close()
  await tamper((db) => db.put('version', new Uint8Array([2])))
  const state = storage()
  await t.rejects(state.open(), { code: 'RAFT_STORAGE_VERSION' })
  await state.close()
})

t.test('what is whole and nothing that this version reads is not called damaged', async (t) => {
  await write(3)
  const seal = new StateSeal(dataKey)
  const put = (key: string, bytes: number[]) =>
    tamper((db) => db.put(key, seal.seal(key, new Uint8Array(bytes))))
  const advice =
    'run the version that wrote it, or run "swarmctl leave --force", and then join again or "swarmctl restore FILE"'
  await put(block(0), [0, 0, 0, 9])
  await t.rejects(loadAll(), {
    code: 'RAFT_STORAGE_UNREADABLE',
    message: `a block of the state is whole, but can not be read by this swarmctl (needs 9 bytes, has 0): ${advice}`,
  })
  await put('meta', [0, 1])
  await t.rejects(loadAll(), {
    code: 'RAFT_STORAGE_UNREADABLE',
    message: `the index of the state is whole, but can not be read by this swarmctl (needs 8 bytes, has 1): ${advice}`,
  })
})

t.test('changes are stored after a short time, only the newest of each key', async (t) => {
  const state = storage()
  await state.open()
  await state.load()
  for (let index = 1; index <= 100; index += 1) {
    state.write(metaAt(index), [{ key: 'task', value: value(String(index)) }])
  }
  t.equal(state.flushedIndex, 0, 'nothing is written yet')
  while (state.flushedIndex === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(state.flushedIndex, 100, 'one write for all')
  await state.close()
})

t.test('much that changed, and other members, are stored at once', async (t) => {
  const planned: { delayMs: number; isCancelled: boolean }[] = []
  const waiting = () =>
    planned.filter(({ isCancelled }) => !isCancelled).map(({ delayMs }) => delayMs)
  const state = new LevelStateStorage(directory, {
    clock: {
      ...clock,
      after(delayMs) {
        const plan = { delayMs, isCancelled: false }
        planned.push(plan)
        return () => {
          plan.isCancelled = true
        }
      },
    },
    ...{ dataKey, onTrouble: () => {} },
  })
  await state.open()
  await state.load()
  const members = metaAt(1)
  const change = (index: number, bytes: number) =>
    state.write({ ...members, index }, [{ key: `k${index}`, value: new Uint8Array(bytes) }])
  change(1, 10)
  t.strictSame(waiting(), [0], 'the first members')
  await state.flush()
  t.strictSame(waiting(), [], 'a flush takes the place of the one that was planned')
  change(2, 10)
  change(3, 10)
  t.strictSame(waiting(), [FLUSH_DELAY_MS], 'little waits for more')
  change(4, 1024 * 1024)
  change(5, 1024 * 1024)
  t.strictSame(waiting(), [0], 'but not when it is much')
  await state.flush()
  change(6, 10)
  t.strictSame(waiting(), [FLUSH_DELAY_MS])
  const others = { ...members.membership, learners: ['x'] }
  state.write({ ...members, index: 7, membership: others }, [])
  t.strictSame(waiting(), [0], 'nor other members')
  await state.close()
})

t.test(
  'a snapshot that begins while the one before comes into use leaves that one alone',
  async (t) => {
    await write(10)
    const state = storage()
    await state.open()
    await state.load()
    const first = await state.beginInstall(metaAt(50))
    await first.add([['service/new', value('of the first')]])
    const switched = first.commit()
    const second = await state.beginInstall(metaAt(60))
    await switched
    await second.add([['service/newer', value('of the second')]])
    await second.abort()
    await state.close()
    t.equal(await loadAll(), 1)
  },
)

/** LevelDB on a disk that is full for the named operations, until the test ends or they are taken out. */
function fullFor(
  t: { teardown(run: () => void): void },
  names: ('batch' | 'clear')[],
): ('batch' | 'clear')[] {
  for (const name of ['batch', 'clear'] as const) {
    interposeLevel(t, name, (_, proceed) =>
      names.includes(name) ? Promise.reject(new Error('ENOSPC')) : proceed(),
    )
  }
  return names
}

t.test('a snapshot that the disk refused comes into use when there is room', async (t) => {
  await write(10)
  const state = storage()
  await state.open()
  await state.load()
  state.write(metaAt(6), [{ key: 'service/0', value: value('before the snapshot') }])
  const refused = fullFor(t, ['clear'])
  await t.rejects(state.beginInstall(metaAt(50)), { code: 'RAFT_STORAGE_FAILED' })
  refused.splice(0)
  const install = await state.beginInstall(metaAt(50))
  await install.add([['service/new', value('of the snapshot')]])
  refused.push('batch')
  await t.rejects(install.add([['service/two', value('2')]]), { code: 'RAFT_STORAGE_FAILED' })
  for (const _attempt of [1, 2]) {
    await t.rejects(install.commit(), { code: 'RAFT_STORAGE_FAILED' })
  }
  refused.splice(0)
  await state.flush()
  t.equal(state.flushedIndex, 6, 'the old state is the one in use')
  await install.commit()
  t.equal(state.flushedIndex, 50)
  await state.close()
  t.equal(await loadAll(), 1)
})

t.test("what is left of the old state is in nobody's way", async (t) => {
  await write(10)
  const state = storage()
  await state.open()
  await state.load()
  const install = await state.beginInstall(metaAt(50))
  await install.add([['service/new', value('of the snapshot')]])
  const refused = fullFor(t, ['clear'])
  await install.commit()
  t.equal(state.flushedIndex, 50, 'the snapshot is in use')
  refused.splice(0)
  state.write(metaAt(51), [{ key: 'service/newer', value: value('after it') }])
  const later = await state.beginInstall(metaAt(60))
  await t.rejects(install.commit(), /later snapshot/, 'what it staged is gone')
  await later.abort()
  await state.close()
  t.equal(await loadAll(), 2)
})

t.test('a busy time after a quiet one finds no heap of small blocks in its way', async (t) => {
  const state = storage()
  await state.open()
  await state.load()
  const base = Array.from({ length: 60 }, (_, at) => ({
    key: `b${at}`,
    value: value('x'.repeat(30_000)),
  }))
  state.write(metaAt(1), base)
  await state.flush()
  let index = 2
  for (; index < 700; index += 1) {
    state.write(metaAt(index), [{ key: `s${index % 3}`, value: value(`${index}`) }])
    await state.flush()
  }
  for (; index < 760; index += 1) {
    state.write(metaAt(index), base)
    await state.flush()
  }
  await state.close()
  let bytes = 0
  await tamper(async (db) => {
    for await (const [, sealed] of db.iterator({ gte: 'a', lt: 'b' })) bytes += sealed.length
  })
  // Twice 60 of 30 kB, 1 MiB, and what the last flush added.
  t.ok(bytes < 7_000_000, `${bytes} bytes`)
  t.equal(await loadAll(), 63)
})
