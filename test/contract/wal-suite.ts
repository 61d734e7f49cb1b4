import type t from 'tap'
import { createEntry, type Entry } from '../../src/raft/entry.ts'
import type { Wal, WalBatch } from '../../src/raft/wal-port.ts'

type Test = typeof t

/** One log that can be closed and opened again on the same disk. */
export interface WalUnderTest {
  /** A new Wal on the same disk, not opened yet. */
  reopen(): Wal
}

const encoder = new TextEncoder()

export function entry(index: number, term: number, text = `e${index}.${term}`): Entry {
  return createEntry({ index, term }, 'command', encoder.encode(text))
}

export function batch(entries: readonly Entry[], rest: Partial<WalBatch> = {}): WalBatch {
  return { hardState: null, reset: null, entries, ...rest }
}

/** What every {@link Wal} must do. */
export function walContract(t: Test, name: string, make: () => Promise<WalUnderTest>): void {
  t.test(`${name}: an empty log is new, and holds nothing`, async (t) => {
    const disk = await make()
    const wal = disk.reopen()
    const contents = await wal.open()
    t.match(contents, { isNew: true, base: { index: 0, term: 0 }, entries: [] })
    t.same(contents.hardState, { term: 0, vote: null, commit: 0 })
    t.equal(wal.roomError, undefined)
    await wal.close()
  })

  t.test(`${name}: what was acknowledged comes back, in order`, async (t) => {
    const disk = await make()
    const wal = disk.reopen()
    await wal.open()
    const hardState = { term: 2, vote: 'node-b', commit: 1 }
    const order: number[] = []
    const appends = [
      wal.append(batch([entry(1, 1), entry(2, 2)], { hardState })).then(() => order.push(1)),
      wal.append(batch([])).then(() => order.push(2)),
      wal.append(batch([entry(3, 2)])).then(() => order.push(3)),
    ]
    await Promise.all(appends)
    t.same(order, [1, 2, 3], 'batches complete in the order in which they were given')
    await wal.close()
    const again = disk.reopen()
    const contents = await again.open()
    t.same(contents.hardState, hardState)
    t.same(contents.entries, [entry(1, 1), entry(2, 2), entry(3, 2)])
    t.notOk(contents.isNew)
    await again.close()
  })

  t.test(`${name}: an overlapping append replaces the end`, async (t) => {
    const disk = await make()
    const wal = disk.reopen()
    await wal.open()
    await wal.append(batch([entry(1, 1), entry(2, 1), entry(3, 1)]))
    await wal.append(batch([entry(2, 2)], { hardState: { term: 2, vote: null, commit: 1 } }))
    await wal.close()
    const again = disk.reopen()
    t.same((await again.open()).entries, [entry(1, 1), entry(2, 2)])
    await again.close()
  })

  t.test(`${name}: a reset begins the log anew`, async (t) => {
    const disk = await make()
    const wal = disk.reopen()
    await wal.open()
    await wal.append(batch([entry(1, 1), entry(2, 1)]))
    const hardState = { term: 5, vote: null, commit: 40 }
    await wal.append(batch([entry(41, 5)], { hardState, reset: { index: 40, term: 4 } }))
    await wal.close()
    const again = disk.reopen()
    const contents = await again.open()
    t.same(contents.base, { index: 40, term: 4 })
    t.same(contents.entries, [entry(41, 5)])
    await again.close()
  })

  t.test(`${name}: compaction never takes what comes after it`, async (t) => {
    const disk = await make()
    const wal = disk.reopen()
    await wal.open()
    const all = Array.from({ length: 50 }, (_, at) => entry(at + 1, 1))
    await wal.append(batch(all, { hardState: { term: 1, vote: 'a', commit: 50 } }))
    await wal.compactTo(30)
    await wal.append(batch([entry(51, 1)]))
    await wal.close()
    const again = disk.reopen()
    const { base, entries, hardState } = await again.open()
    t.ok(base.index <= 30)
    t.same(entries.at(-1), entry(51, 1))
    t.equal(entries.length, 51 - base.index, 'nothing is missing in between')
    t.equal(hardState.vote, 'a')
    await again.close()
  })

  t.test(`${name}: a closed log refuses more`, async (t) => {
    const wal = (await make()).reopen()
    await wal.open()
    await wal.close()
    await t.rejects(wal.append(batch([entry(1, 1)])), { code: 'RAFT_STOPPED' })
  })
}
