// What LevelDB calls failed it may have stored after all: a sync fails, and the batch is in its log when it is opened again.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { Level } from 'level'
import t from 'tap'
import type { StateInstall, StateView } from '../../src/raft/state-port.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { metaAt } from '../contract/state-storage-suite.ts'
import { type BatchFault, levelFaults } from '../support/raft/level-faults.ts'

const dataKey = new Uint8Array(32).fill(3)
/** Nothing happens by itself: each test says when there is a flush. */
const clock = { after: () => () => {}, defer: () => {} }
let directory = ''
t.beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raft-state-'))
})
t.afterEach(() => rm(directory, { recursive: true, force: true }))

const filled = (bytes: number, byte: number) => new Uint8Array(bytes).fill(byte)

async function opened(troubles: string[] = []): Promise<LevelStateStorage> {
  const onTrouble = (error: { code: string }) => void troubles.push(error.code)
  const state = new LevelStateStorage(directory, { clock, dataKey, onTrouble })
  await state.open()
  return state
}

/** Keys with the first byte and the length of their values. */
type Plain = [key: string, byte: number | undefined, bytes: number][]

async function stored(): Promise<Plain> {
  const state = await opened()
  try {
    return (await state.load()).map(([key, value]) => [key, value[0], value.length])
  } finally {
    await state.close()
  }
}

const FAILED = { code: 'RAFT_STORAGE_FAILED' }

t.test('a flush that was stored though it failed, and comes again with less', async (t) => {
  const faults = levelFaults(t)
  const state = await opened()
  await state.load()
  state.write(metaAt(1), [
    { key: 'a', value: filled(100_000, 1) },
    { key: 'b', value: filled(100_000, 1) },
  ])
  faults.push('stored')
  await t.rejects(state.flush(), FAILED)
  state.write(metaAt(2), [
    { key: 'a', value: filled(5, 2) },
    { key: 'b', value: null },
  ])
  await state.flush()
  t.equal(state.flushedIndex, 2)
  await state.close()
  t.same(await stored(), [['a', 2, 5]])
})

t.test('a flush that wrote old blocks anew, and was stored though it failed', async (t) => {
  const faults = levelFaults(t)
  const troubles: string[] = []
  const state = await opened(troubles)
  await state.load()
  state.write(metaAt(1), [{ key: 'kept', value: filled(9, 1) }])
  await state.flush()
  for (let index = 2; index < 40; index += 1) {
    state.write(metaAt(index), [{ key: 'changing', value: filled(60_000, index) }])
    faults.push('stored')
    await t.rejects(state.flush(), FAILED)
    await state.flush()
  }
  t.equal(state.flushedIndex, 39)
  await state.close()
  t.notOk(troubles.includes('RAFT_STORAGE_CORRUPT'), 'nothing is missing')
  t.same(await stored(), [
    ['changing', 39, 60_000],
    ['kept', 1, 9],
  ])
})

for (const next of ['abort', 'another install', 'flush', 'commit'] as const) {
  t.test(`a commit that was stored though it failed, then ${next}`, async (t) => {
    const faults = levelFaults(t)
    const state = await opened()
    await state.load()
    state.write(metaAt(1), [{ key: 'old', value: filled(9, 1) }])
    await state.flush()
    const install = await state.beginInstall(metaAt(50))
    await install.add([['new', filled(9, 2)]])
    faults.push('stored')
    await t.rejects(install.commit(), FAILED)
    if (next === 'abort') await install.abort()
    if (next === 'another install') await state.beginInstall(metaAt(60))
    if (next === 'flush') state.write(metaAt(2), [{ key: 'old', value: filled(9, 1) }])
    if (next === 'commit') await install.commit()
    await state.close()
    t.same(await stored(), next === 'commit' ? [['new', 2, 9]] : [['old', 1, 9]])
  })
}

t.test('a first snapshot whose commit was stored though it failed, then aborted', async (t) => {
  const faults = levelFaults(t)
  const state = await opened()
  await state.load()
  const install = await state.beginInstall(metaAt(50))
  await install.add([['new', filled(9, 2)]])
  faults.push('stored')
  await t.rejects(install.commit(), FAILED)
  await install.abort()
  await state.close()
  t.same(await stored(), [])
})

t.test('an install that is over changes nothing any more', async (t) => {
  const state = await opened()
  await state.load()
  const first = await state.beginInstall(metaAt(50))
  const second = await state.beginInstall(metaAt(60))
  await t.rejects(first.add([['first', filled(9, 1)]]), /later snapshot/)
  await second.add([['second', filled(9, 2)]])
  await first.abort()
  await second.commit()
  await second.abort()
  await t.rejects(second.add([['late', filled(9, 3)]]), /in use/)
  await state.close()
  t.same(await stored(), [['second', 2, 9]])
})

t.test('a view finds that a block is lost: what it shows goes to other nodes', async (t) => {
  for (const lost of [0, 1, 2]) {
    await rm(directory, { recursive: true })
    const state = await opened()
    await state.load()
    for (const at of [1, 2, 3]) {
      state.write(metaAt(at), [{ key: 'k', value: filled(9, at) }])
      await state.flush()
    }
    await state.close()
    const db = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' })
    await db.del(`a${String(lost).padStart(13, '0')}`)
    await db.close()
    const again = await opened()
    const view = await again.openView()
    await t.rejects(readAll(view), { code: 'RAFT_STORAGE_CORRUPT' }, `block ${lost}`)
    await view.close()
    await again.close()
  }
})

async function readAll(view: StateView): Promise<Plain> {
  const all: Plain = []
  for (;;) {
    const entries = await view.next(50_000)
    if (entries === null) break
    all.push(...entries.map(([key, value]) => [key, value[0], value.length] as Plain[number]))
  }
  return all.sort(([a], [b]) => (a < b ? -1 : 1))
}

type Step =
  | { kind: 'write'; changes: { key: number; bytes: number | null }[] }
  | { kind: 'flush'; fault: BatchFault | undefined }
  | { kind: 'reopen' }
  | { kind: 'view' }
  | {
      kind: 'install'
      keys: number
      fault: BatchFault | undefined
      end: 'commit' | 'abort' | 'none'
    }

const arbFault = fc.option(fc.constantFrom<BatchFault>('refused', 'stored'), { nil: undefined })
const arbChange = fc.record({
  key: fc.nat(5),
  bytes: fc.oneof(fc.nat(300), fc.integer({ min: 50_000, max: 300_000 }), fc.constant(null)),
})
const arbChanges = fc.array(arbChange, { maxLength: 5 })
const arbStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('write' as const), changes: arbChanges }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('flush' as const), fault: arbFault }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'view' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ kind: fc.constant('install' as const), keys: fc.nat(6), fault: arbFault },
      end: fc.constantFrom('commit' as const, 'abort' as const, 'none' as const),
    }),
  },
)

/** The storage beside a map of what should be in it. */
class Model {
  readonly #faults: BatchFault[]
  #state: LevelStateStorage
  #index = 0
  /** A snapshot that never came into use is none. */
  #hasState = false
  #map = new Map<string, [number, number]>()

  constructor(faults: BatchFault[], state: LevelStateStorage) {
    this.#faults = faults
    this.#state = state
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'write') this.#write(step.changes)
    if (step.kind === 'flush') await this.#flush(step.fault)
    if (step.kind === 'reopen') await this.reopen()
    if (step.kind === 'view') await this.#view()
    if (step.kind === 'install') await this.#install(step)
  }

  /** Closes, and compares what the next start finds. */
  async reopen(): Promise<void> {
    await this.#state.close()
    this.#state = await opened()
    const loaded = await this.#state.load()
    this.#same(loaded.map(([key, value]) => [key, value[0], value.length]))
  }

  close(): Promise<void> {
    return this.#state.close()
  }

  #write(changes: { key: number; bytes: number | null }[]): void {
    this.#index += 1
    const writes = new Map(changes.map(({ key, bytes }) => [`k${key}`, bytes]))
    const byte = this.#index % 256
    for (const [key, bytes] of writes) {
      if (bytes === null) this.#map.delete(key)
      else this.#map.set(key, [byte, bytes + 1])
    }
    this.#hasState = true
    this.#state.write(
      metaAt(this.#index),
      [...writes].map(([key, bytes]) => ({
        ...{ key, value: bytes === null ? null : filled(bytes + 1, byte) },
      })),
    )
  }

  async #flush(fault: BatchFault | undefined): Promise<void> {
    if (fault !== undefined) this.#faults.push(fault)
    await this.#state.flush().catch((error) => {
      if (error.code !== FAILED.code) throw error
    })
    this.#faults.splice(0)
  }

  async #view(): Promise<void> {
    if (!this.#hasState) return
    this.#same(await readAll(await this.#state.openView()))
  }

  async #install({ keys, fault, end }: Extract<Step, { kind: 'install' }>): Promise<void> {
    this.#index += 10
    const entries = Array.from({ length: keys }, (_, at) => `k${at * 2}`)
    const value = filled(40_000, this.#index % 256)
    const install = await this.#state.beginInstall(metaAt(this.#index))
    for (const key of entries) await install.add([[key, value]])
    if (end === 'commit') await this.#commit(install, fault)
    if (end === 'abort') await install.abort()
    if (end !== 'commit') return
    this.#hasState = true
    this.#map = new Map(entries.map((key) => [key, [this.#index % 256, value.length]]))
  }

  async #commit(install: StateInstall, fault: BatchFault | undefined): Promise<void> {
    if (fault !== undefined) {
      this.#faults.push(fault)
      const failed = await install.commit().then(
        () => undefined,
        (error) => error.code,
      )
      if (failed !== FAILED.code) throw new Error(`a failing commit ended with ${failed}`)
      this.#faults.splice(0)
    }
    await install.commit()
  }

  #same(found: Plain): void {
    const expected = [...this.#map].map(([key, [byte, bytes]]) => [key, byte, bytes])
    expected.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
    if (JSON.stringify(found) !== JSON.stringify(expected))
      throw new Error(JSON.stringify({ found, expected }))
  }
}

t.test('whatever fails, what is loaded is what was written', async (t) => {
  const faults = levelFaults(t)
  const property = fc.asyncProperty(
    fc.array(arbStep, { minLength: 30, maxLength: 90, size: 'max' }),
    async (steps) => {
      faults.splice(0)
      await rm(directory, { recursive: true, force: true })
      const model = new Model(faults, await opened())
      await model.reopen()
      try {
        for (const step of steps) await model.run(step)
        await model.reopen()
      } finally {
        await model.close()
      }
    },
  )
  await fc.assert(property, { numRuns: 30 })
  t.pass()
})
