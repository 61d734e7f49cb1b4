import t from 'tap'
import type { TaskState } from '../../../src/api/task-state.ts'
import type { NodeUsage } from '../../../src/api/usage.ts'
import { UseTable } from '../../../src/manager/autoscaler/use-table.ts'
import { sampleTask, sampleUsage } from '../../support/objects.ts'

const SECOND = 1000
const task = (ID: string, State: TaskState = 'running') =>
  sampleTask(ID, 'web', { Status: { State, Timestamp: '', Message: '' } })

/** A node's report of tasks' CPU seconds. */
const report = (atMs: number, cpuSeconds: Record<string, number>): NodeUsage =>
  sampleUsage(
    'n1',
    atMs,
    Object.entries(cpuSeconds).map(([TaskID, seconds]) => ({
      TaskID,
      CPUTotal: seconds * 1e9,
      Memory: 50,
    })),
  )

const watched = (...ids: string[]): UseTable => {
  const table = new UseTable()
  table.watch(new Set(ids), 0)
  return table
}

t.test('a rate needs two readings; until then a task starts', async (t) => {
  const table = watched('a')
  t.strictSame(table.useOf(task('a'), 0), { kind: 'starting' })
  table.record(report(500_000, { a: 100 }), 0)
  t.strictSame(table.useOf(task('a'), 0), { kind: 'starting' })
  table.record(report(510_000, { a: 105 }), 10 * SECOND)
  const use = { kind: 'reported', nanoCpus: 0.5e9, memoryBytes: 50 }
  t.strictSame(table.useOf(task('a'), 10 * SECOND), use)
  t.strictSame(table.useOf(task('a', 'starting'), 10 * SECOND), { kind: 'starting' })
  t.strictSame(table.useOf(task('b'), 10 * SECOND), { kind: 'starting' }, 'not asked about yet')
})

t.test('what was measured gets old, and a newcomer too', async (t) => {
  const table = watched('a', 'b')
  table.record(report(0, { a: 0 }), 0)
  table.record(report(10_000, { a: 1 }), 10 * SECOND)
  t.match(table.useOf(task('a'), 35 * SECOND), { kind: 'reported' })
  t.strictSame(table.useOf(task('a'), 36 * SECOND), { kind: 'unknown' })
  t.strictSame(table.useOf(task('b'), 30 * SECOND), { kind: 'starting' })
  t.strictSame(table.useOf(task('b'), 31 * SECOND), { kind: 'unknown' })
})

t.test('readings that are close together are no rate, and lose nothing', async (t) => {
  const table = watched('a')
  table.record(report(0, { a: 0 }), 0)
  table.record(report(100, { a: 0.1 }), 100)
  t.strictSame(table.useOf(task('a'), 100), { kind: 'starting' })
  table.record(report(10_000, { a: 5 }), 10 * SECOND)
  t.match(table.useOf(task('a'), 10 * SECOND), { nanoCpus: 0.5e9 })
})

t.test('a daemon that was started anew counts its time from 0', async (t) => {
  const cases: [name: string, AtMs: number, cpuSeconds: number][] = [
    ['its time went back', 2_000, 5],
    ['its time went on, though not as far as ours', 7_000, 5],
    ['its time jumped', 60_000, 5],
    ['another container', 15_000, 0.5],
  ]
  for (const [name, AtMs, cpuSeconds] of cases) {
    const table = watched('a')
    table.record(report(5_000, { a: 1 }), 0)
    table.record(report(AtMs, { a: cpuSeconds }), 10 * SECOND)
    t.strictSame(table.useOf(task('a'), 10 * SECOND), { kind: 'starting' }, name)
    table.record(report(AtMs + 10_000, { a: cpuSeconds + 2 }), 20 * SECOND)
    t.match(table.useOf(task('a'), 20 * SECOND), { nanoCpus: 0.2e9 }, `${name}: goes on`)
  }
})

t.test('an Engine that counts nothing says 0, which is no use', async (t) => {
  const table = watched('a')
  for (const atMs of [0, 10_000, 20_000]) {
    const { Tasks, ...rest } = report(atMs, { a: 0 })
    table.record({ ...rest, Tasks: Tasks.map((one) => ({ ...one, Memory: 0 })) }, atMs)
  }
  t.strictSame(table.useOf(task('a'), 31 * SECOND), { kind: 'unknown' })
})

t.test('what is not watched is not kept', async (t) => {
  const table = watched('a')
  table.record(report(0, { a: 0, b: 0 }), 0)
  table.watch(new Set(['b']), 10 * SECOND)
  table.record(report(10_000, { a: 5, b: 5 }), 10 * SECOND)
  t.strictSame(table.useOf(task('b'), 10 * SECOND), { kind: 'starting' }, 'one reading')
  table.watch(new Set(['a']), 20 * SECOND)
  table.record(report(20_000, { a: 9 }), 20 * SECOND)
  t.strictSame(table.useOf(task('a'), 20 * SECOND), { kind: 'starting' }, 'forgotten meanwhile')
})
