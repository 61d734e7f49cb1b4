import t from 'tap'
import {
  type BlockEntry,
  decodeBlock,
  encodeBlock,
  splitIntoBlocks,
} from '../../src/raft/state-block.ts'
import { StateBlockIndex } from '../../src/raft/state-block-index.ts'

const entry = (key: string, bytes: number): BlockEntry => [key, new Uint8Array(bytes).fill(7)]
/** Nine tenths of the waste that is always borne. */
const LARGE = Math.floor(0.9 * 1024 * 1024)

t.test('a block comes back as it was written', async (t) => {
  const block = {
    previousTag: new Uint8Array(16).fill(9),
    entries: [entry('task/ä', 3), ['gone', null], entry('empty', 0)] as BlockEntry[],
  }
  t.same(decodeBlock(encodeBlock(block)), block)
})

t.test('entries are parted by size and stay in their order', async (t) => {
  const entries = [entry('a', 400), entry('b', 400), entry('c', 5_000), entry('d', 1)]
  const names = splitIntoBlocks(entries, 1_000).map((block) => block.map(([key]) => key))
  t.same(names, [['a', 'b'], ['c'], ['d']])
  t.same(splitIntoBlocks([], 1_000), [])
})

t.test('blocks that are all in use are never written anew', async (t) => {
  const index = new StateBlockIndex(5)
  for (let at = 0; at < 100; at += 1) index.add([entry(`k${at}`, LARGE)])
  t.same(index.wastefulBlocks(100 * LARGE), [])
  t.equal(index.next, 105)
})

t.test('the oldest are, as soon as more than half is waste', async (t) => {
  const index = new StateBlockIndex(0)
  index.add([entry('kept', LARGE)])
  for (let at = 0; at < 4; at += 1) index.add([entry('changing', LARGE)])
  // Of five two are in use: twice as much and one MiB may lie there.
  t.same(index.wastefulBlocks(100 * LARGE), [])
  index.add([entry('changing', LARGE)])
  t.same(index.wastefulBlocks(100 * LARGE), [0])
  t.ok(index.isHome('kept', 0))
  index.add([entry('kept', LARGE), entry('changing', LARGE)])
  index.dropFirst()
  t.equal(index.first, 1)
  t.notOk(index.isHome('kept', 0))
  t.ok(index.isHome('kept', 6))
  t.equal(index.count, 2)
})

t.test('removed keys are waste, and so are their removals', async (t) => {
  const index = new StateBlockIndex(0)
  for (let at = 0; at < 8; at += 1) index.add([entry(`k${at}`, LARGE)])
  index.add(Array.from({ length: 8 }, (_, at) => [`k${at}`, null] as const))
  t.equal(index.count, 0)
  t.same(index.wastefulBlocks(2.5 * LARGE), [0, 1, 2], 'no more at once than asked for')
  t.same(index.wastefulBlocks(100 * LARGE), [0, 1, 2, 3, 4, 5, 6])
})

/** As flushes do, each with what it changes. */
function flush(index: StateBlockIndex, row: BlockEntry[][], changed: BlockEntry[]): number {
  const blocks = index.wastefulBlocks(2 * 1024 * 1024)
  const isChanged = new Set(changed.map(([key]) => key))
  const kept = blocks.flatMap((block) =>
    (row[block] ?? []).filter(([key]) => !isChanged.has(key) && index.isHome(key, block)),
  )
  for (const block of splitIntoBlocks([...kept, ...changed], 128 * 1024)) {
    index.add(block)
    row.push(block)
  }
  for (const _ of blocks) index.dropFirst()
  return blocks.length
}

t.test(
  'many small flushes leave few blocks, whether they change what is there or add to it',
  async (t) => {
    const index = new StateBlockIndex(0)
    const row: BlockEntry[][] = []
    for (let at = 0; at < 20_000; at += 1) flush(index, row, [entry(`status${at % 10}`, 200)])
    // 1 MiB by 4 KiB, and what the last one added.
    t.ok(index.next - index.first < 260, `${index.next - index.first} blocks of changes`)
    for (let at = 0; at < 5_000; at += 1) flush(index, row, [entry(`task${at}`, 1_000)])
    // Twice 5 MB and 1 MiB, by 4 KiB.
    t.ok(index.next - index.first < 2_800, `${index.next - index.first} blocks of new keys`)
    for (let at = 0; at < 5_000; at += 1) flush(index, row, [[`task${at}`, null]])
    t.ok(index.next - index.first < 260, `${index.next - index.first} blocks when they are gone`)
    t.equal(index.count, 10)
  },
)

t.test('a row of full blocks that are in use is not written anew for a small one', async (t) => {
  const index = new StateBlockIndex(0)
  const row: BlockEntry[][] = []
  for (let at = 0; at < 200; at += 1) flush(index, row, [entry(`config${at}`, 100_000)])
  let rewritten = 0
  for (let at = 0; at < 1_000; at += 1) rewritten += flush(index, row, [entry('status', 200)])
  t.equal(rewritten, 0)
})
