import t from 'tap'
import { type Call, History, violations } from '../support/robustness/history.ts'

const write = (value: number, startMs: number, endMs: number, outcome: Call['outcome'] = 'ok') =>
  ({ kind: 'write', register: 'r', value, startMs, endMs, outcome }) as const
const read = (value: number, startMs: number, endMs: number) =>
  ({ kind: 'read', register: 'r', value, startMs, endMs, outcome: 'ok' }) as const

t.test('histories of one register', async (t) => {
  const good: Record<string, Call[]> = {
    'a write, then a read': [write(1, 0, 1), read(1, 2, 3)],
    'a read beside a write may see either': [write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)],
    'a write without an answer may have taken effect': [write(1, 0, 5, 'unknown'), read(1, 6, 7)],
    'or not': [write(1, 0, 5, 'unknown'), read(0, 6, 7)],
    'or later': [write(1, 0, 5, 'unknown'), read(0, 6, 7), read(1, 8, 9)],
  }
  for (const [name, calls] of Object.entries(good)) t.strictSame(violations(calls), [], name)
  const bad: Record<string, [Call[], RegExp]> = {
    'lost after it was acknowledged': [[write(1, 0, 1), read(0, 2, 3)], /stale: read 0 after 1/],
    'back in time': [[write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)], /stale: read 0 after 1/],
    'from nowhere': [[write(1, 5, 6), read(1, 2, 3)], /written by nobody yet/],
  }
  for (const [name, [calls, expected]] of Object.entries(bad))
    t.match(violations(calls), [expected], name)
})

t.test('a long history is checked in slices', async (t) => {
  const history = new History()
  history.write('r', 1, 0)('ok', 1)
  history.read('r', 1, 2, 3)
  history.write('r', 2, 4)('ok', 5)
  history.write('r', 3, 6)('unknown', 9)
  t.equal(history.firstWrite(3, new Set(['r'])), 5)
  t.equal(history.firstWrite(5, new Set(['r'])), undefined)
  t.strictSame(history.check(), [])
  const settle = history.write('r', 4, 10)
  history.read('r', 4, 11, 12)
  t.strictSame(history.check(), [], 'a write that is under way may be seen')
  settle('ok', 13)
  history.read('r', 3, 14, 15)
  t.match(history.check(), [/read 3 after 4/], 'what was seen before the slice counts')
  t.match(history, { writes: 3, unknown: 1, reads: 3 })
  t.strictSame([...history.acknowledged], [['r', 4]])
})
