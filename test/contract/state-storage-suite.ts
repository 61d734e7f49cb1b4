import type t from 'tap'
import type { SnapshotMeta } from '../../src/raft/message.ts'
import type { StateEntry, StateStorage } from '../../src/raft/state-port.ts'

type Test = typeof t

/** One state that can be closed and opened again on the same disk. */
export interface StateUnderTest {
  /** A new StateStorage on the same disk, not opened yet. */
  reopen(): StateStorage
}

const encoder = new TextEncoder()

export function value(text: string): Uint8Array {
  return encoder.encode(text)
}

export function metaAt(index: number): SnapshotMeta {
  const membership = {
    ...{ voters: ['a', 'b'], outgoing: [], learners: ['c'], learnersNext: [], removed: ['z'] },
    contexts: new Map([['a', value('host-a')]]),
  }
  return { index, term: 3, membership }
}

function plain(entries: readonly StateEntry[]): [string, string][] {
  return entries.map(([key, bytes]) => [key, new TextDecoder().decode(bytes)])
}

async function opened(disk: StateUnderTest): Promise<StateStorage> {
  const state = disk.reopen()
  await state.open()
  await state.load()
  return state
}

/** What every {@link StateStorage} must do. */
export function stateContract(t: Test, name: string, make: () => Promise<StateUnderTest>): void {
  t.test(`${name}: what was flushed comes back with its index and members`, async (t) => {
    const disk = await make()
    const first = disk.reopen()
    t.equal(await first.open(), null)
    t.same(await first.load(), [])
    first.write(metaAt(1), [
      { key: 'b', value: value('old') },
      { key: 'gone', value: value('x') },
    ])
    first.write(metaAt(2), [
      { key: 'b', value: value('new') },
      { key: 'a', value: value('1') },
    ])
    first.write(metaAt(3), [{ key: 'gone', value: null }])
    await first.flush()
    t.equal(first.flushedIndex, 3)
    await first.close()
    const second = disk.reopen()
    t.same(await second.open(), metaAt(3))
    t.same(plain(await second.load()), [
      ['a', '1'],
      ['b', 'new'],
    ])
    await second.close()
  })

  t.test(`${name}: closing flushes`, async (t) => {
    const disk = await make()
    const first = await opened(disk)
    first.write(metaAt(7), [{ key: 'a', value: value('1') }])
    await first.close()
    const second = disk.reopen()
    t.equal((await second.open())?.index, 7)
    t.same(plain(await second.load()), [['a', '1']])
    await second.close()
  })

  t.test(`${name}: a view doesn't see what comes later`, async (t) => {
    const disk = await make()
    const state = await opened(disk)
    const writes = Array.from({ length: 20 }, (_, at) => ({ key: `k${at}`, value: value('v1') }))
    state.write(metaAt(4), writes)
    const view = await state.openView()
    state.write(metaAt(5), [
      { key: 'k0', value: value('v2') },
      { key: 'k19', value: null },
    ])
    await state.flush()
    t.equal(view.meta.index, 4)
    const seen: [string, string][] = []
    let pieces = 0
    for (;;) {
      const entries = await view.next(16)
      if (entries === null) break
      pieces += 1
      seen.push(...plain(entries))
    }
    t.equal(seen.length, 20)
    t.ok(pieces > 1, 'it comes in pieces')
    t.ok(seen.every(([, text]) => text === 'v1'))
    await view.close()
    await state.close()
  })

  t.test(`${name}: an installed snapshot replaces everything`, async (t) => {
    const disk = await make()
    const state = await opened(disk)
    state.write(metaAt(2), [{ key: 'old', value: value('1') }])
    await state.flush()
    const install = await state.beginInstall(metaAt(90))
    await install.add([
      ['x', value('1')],
      ['y', value('2')],
    ])
    await install.add([['z', value('3')]])
    t.equal(state.flushedIndex, 2, 'nothing changes before the commit')
    await install.commit()
    t.equal(state.flushedIndex, 90)
    state.write(metaAt(91), [{ key: 'x', value: value('9') }])
    await state.close()
    const again = disk.reopen()
    t.equal((await again.open())?.index, 91)
    t.same(plain(await again.load()), [
      ['x', '9'],
      ['y', '2'],
      ['z', '3'],
    ])
    await again.close()
  })

  t.test(`${name}: an aborted snapshot leaves no trace`, async (t) => {
    const disk = await make()
    const state = await opened(disk)
    state.write(metaAt(2), [{ key: 'old', value: value('1') }])
    await state.flush()
    const install = await state.beginInstall(metaAt(90))
    await install.add([['x', value('1')]])
    await install.abort()
    await state.close()
    const again = disk.reopen()
    t.equal((await again.open())?.index, 2)
    t.same(plain(await again.load()), [['old', '1']])
    await again.close()
  })
}
