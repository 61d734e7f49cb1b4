import t from 'tap'
import { checkLinearizable, type Event, type Model } from '../support/managers/linearizability.ts'
import {
  type ObjectAnswer,
  type ObjectCall,
  type ObjectOperation,
  objectModel,
  withoutUnseen,
} from '../support/managers/object-model.ts'
import { seededRandom } from '../support/raft/virtual-clock.ts'

const NEVER = Number.POSITIVE_INFINITY
const create = (token: string): ObjectCall => ({ kind: 'create', token })
const update = (expected: string, token: string): ObjectCall => ({
  kind: 'update',
  expected,
  token,
})
const read: ObjectCall = { kind: 'read' }
const remove: ObjectCall = { kind: 'remove' }
const value = (token: string): ObjectAnswer => ({ kind: 'value', token })
const answer = (kind: 'done' | 'exists' | 'absent' | 'conflict' | 'unknown'): ObjectAnswer => ({
  kind,
})
const [done, exists, absent, conflict, unknown] = [
  ...[answer('done'), answer('exists'), answer('absent'), answer('conflict'), answer('unknown')],
] as [ObjectAnswer, ObjectAnswer, ObjectAnswer, ObjectAnswer, ObjectAnswer]

type Row = readonly [called: number, returned: number, call: ObjectCall, answer: ObjectAnswer]

const history = (rows: readonly Row[]): Event<ObjectOperation>[] =>
  rows.map(([called, returned, call, answer]) => ({
    ...{ called, returned, operation: { call, answer } },
  }))

const verdict = (...rows: Row[]): string => checkLinearizable(objectModel, history(rows)).kind

t.test('histories that could have happened', async (t) => {
  const good: Record<string, Row[]> = {
    nothing: [],
    'one after the other': [
      [1, 2, create('a'), done],
      [3, 4, read, value('a')],
      [5, 6, update('a', 'b'), done],
      [7, 8, read, value('b')],
      [9, 10, remove, done],
      [11, 12, read, absent],
    ],
    'a read during a write sees either': [
      [1, 2, create('a'), done],
      [3, 8, update('a', 'b'), done],
      [4, 5, read, value('b')],
      [6, 7, read, value('b')],
    ],
    'a write of unknown outcome that took effect late': [
      [1, 2, create('a'), done],
      [3, NEVER, update('a', 'b'), unknown],
      [4, 5, read, value('a')],
      [6, 7, read, value('a')],
      [8, 9, read, value('b')],
    ],
    'a write of unknown outcome that never took effect': [
      [1, NEVER, create('a'), unknown],
      [2, 3, read, absent],
      [4, 5, create('b'), done],
      [6, 7, read, value('b')],
    ],
    'of two creations one wins': [
      [1, 4, create('a'), exists],
      [2, 3, create('b'), done],
      [5, 6, read, value('b')],
    ],
    'who compared with the old value lost': [
      [1, 2, create('a'), done],
      [3, 6, update('a', 'b'), done],
      [4, 7, update('a', 'c'), conflict],
      [8, 9, read, value('b')],
    ],
    'many unknown writes at once': [
      [1, 2, create('a'), done],
      ...Array.from({ length: 12 }, (_, at): Row => [3, NEVER, update('a', `u${at}`), unknown]),
      [4, 5, read, value('u7')],
      [6, 7, update('u7', 'z'), done],
      [8, 9, read, value('z')],
    ],
  }
  for (const [name, rows] of Object.entries(good)) t.equal(verdict(...rows), 'linearizable', name)
})

t.test('histories that could not', async (t) => {
  const bad: Record<string, Row[]> = {
    'a stale read': [
      [1, 2, create('a'), done],
      [3, 4, update('a', 'b'), done],
      [5, 6, read, value('a')],
    ],
    'a lost write': [
      [1, 2, create('a'), done],
      [3, 4, read, absent],
    ],
    'a read of what nobody wrote': [[1, 2, read, value('x')]],
    'reads that go back': [
      [1, 2, create('a'), done],
      [3, 10, update('a', 'b'), done],
      [4, 5, read, value('b')],
      [6, 7, read, value('a')],
    ],
    'two creations that both won': [
      [1, 4, create('a'), done],
      [2, 3, create('b'), done],
    ],
    'two updates from the same value that both won': [
      [1, 2, create('a'), done],
      [3, 6, update('a', 'b'), done],
      [4, 7, update('a', 'c'), done],
    ],
    'a refusal from an old state': [
      [1, 2, create('a'), done],
      [3, 4, remove, done],
      [5, 6, create('b'), exists],
    ],
    'a write that took effect twice': [
      [1, 2, create('a'), done],
      [3, NEVER, update('a', 'b'), unknown],
      [4, 5, read, value('b')],
      [6, 7, update('b', 'c'), done],
      [8, 9, read, value('b')],
    ],
    'what an unknown write left does not vanish': [
      [1, NEVER, create('a'), unknown],
      [2, 3, read, value('a')],
      [4, 5, read, absent],
    ],
    'an unknown write has no effect before its call': [
      [1, 2, read, value('a')],
      [3, NEVER, create('a'), unknown],
    ],
  }
  for (const [name, rows] of Object.entries(bad)) t.equal(verdict(...rows), 'violation', name)
})

t.test('a violation names the longest order that fits', async (t) => {
  const rows: Row[] = [
    [1, 2, create('a'), done],
    [3, 4, update('a', 'b'), done],
    [5, 6, read, value('a')],
  ]
  t.strictSame(checkLinearizable(objectModel, history(rows)), { kind: 'violation', best: [0, 1] })
})

t.test('the search ends', async (t) => {
  const open: Row[] = Array.from({ length: 30 }, (_, at) => [1, NEVER, create(`u${at}`), unknown])
  const rows: Row[] = [...open, [2, 3, read, value('x')]]
  t.match(checkLinearizable(objectModel, history(rows), 100), { kind: 'unknown' })
  t.match(checkLinearizable(objectModel, withoutUnseen(history(rows))), { kind: 'violation' })
})

/** Tries all orders: slow, and beyond doubt. */
function couldHaveHappened<S, O>(model: Model<S, O>, events: readonly Event<O>[]): boolean {
  const search = (state: S, left: readonly Event<O>[]): boolean => {
    if (left.every(({ returned }) => returned === NEVER)) return true
    const firstReturn = Math.min(...left.map(({ returned }) => returned))
    return left.some((event) => {
      if (event.called > firstReturn) return false
      const after = model.step(state, event.operation)
      return (
        after !== undefined &&
        search(
          after.state,
          left.filter((other) => other !== event),
        )
      )
    })
  }
  return search(model.initial, events)
}

t.test('agrees with trying all orders, on random histories', async (t) => {
  const found = { linearizable: 0, violation: 0, unknown: 0 }
  for (let seed = 1; seed <= 3000; seed += 1) {
    const random = seededRandom(seed)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
    const tokens = ['a', 'b', 'c']
    const rows = Array.from({ length: 2 + Math.floor(random() * 5) }, (): Row => {
      const called = Math.floor(random() * 20)
      const call = pick([create(pick(tokens)), update(pick(tokens), pick(tokens)), remove, read])
      const answers = [done, exists, absent, conflict, unknown, value(pick(tokens))]
      const given = call.kind === 'read' ? pick([absent, value(pick(tokens))]) : pick(answers)
      const returned = given === unknown ? NEVER : called + 0.5 + Math.floor(random() * 8)
      return [called, returned, call, given]
    })
    const events = history(rows)
    const { kind } = checkLinearizable(objectModel, events)
    found[kind] += 1
    const right = couldHaveHappened(objectModel, events) ? 'linearizable' : 'violation'
    const shorter = checkLinearizable(objectModel, withoutUnseen(events)).kind
    if (shorter !== right) t.equal(shorter, right, `seed ${seed} without the unseen`)
    if (kind !== right) t.equal(kind, right, `seed ${seed}: ${JSON.stringify(rows)}`)
  }
  t.ok(found.linearizable > 100 && found.violation > 100, JSON.stringify(found))
})
