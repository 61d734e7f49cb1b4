import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { metaAt, value } from '../contract/state-storage-suite.ts'
import { systemClock as clock } from '../support/raft/system-clock.ts'

const dataKey = new Uint8Array(32).fill(3)
let directory = ''
t.beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raft-state-'))
})
t.afterEach(() => rm(directory, { recursive: true, force: true }))

function storage(key = dataKey): LevelStateStorage {
  return new LevelStateStorage(directory, { clock, dataKey: key, onFlushFailed: () => {} })
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

t.test('a value that LevelDB lost without an error is missed at start', async (t) => {
  await write(10)
  t.equal(await loadAll(), 10)
  await tamper((db) => db.del('aservice/3'))
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
})

t.test('a flipped bit and a misplaced value are found', async (t) => {
  await write(3)
  await tamper(async (db) => {
    const sealed = Uint8Array.from((await db.get('aservice/1')) ?? [])
    sealed[20] = (sealed[20] ?? 0) ^ 1
    await db.put('aservice/1', sealed)
  })
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })

  await tamper(async (db) => {
    const other = (await db.get('aservice/0')) ?? new Uint8Array(0)
    await db.put('aservice/1', other)
  })
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
})

t.test('an old value in the place of a newer one is found', async (t) => {
  await write(2)
  let old = new Uint8Array(0)
  await tamper(async (db) => {
    old = Uint8Array.from((await db.get('aservice/1')) ?? [])
  })
  const state = storage()
  await state.open()
  await state.load()
  state.write(metaAt(6), [{ key: 'service/1', value: value('newer') }])
  await state.close()
  await tamper((db) => db.put('aservice/1', old))
  await t.rejects(loadAll(), { code: 'RAFT_STORAGE_CORRUPT' })
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
  const prototype = Level.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const name of ['batch', 'clear'] as const) {
    const real = prototype[name] as (...args: unknown[]) => unknown
    const isOwn = Object.hasOwn(prototype, name)
    prototype[name] = function (this: unknown, ...args) {
      if (names.includes(name)) return Promise.reject(new Error('ENOSPC'))
      return real.apply(this, args)
    }
    t.teardown(() => {
      if (isOwn) prototype[name] = real
      else delete prototype[name]
    })
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
