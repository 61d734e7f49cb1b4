// Whether a history of concurrent operations could have happened one after the other, each at some moment between its
// call and its return: Wing and Gong's search, with Lowe's memory of what was tried (as Porcupine does it).

/** What one operation does to an object: the state after it, and whether its answer fits the state before. */
export interface Model<State, Operation> {
  readonly initial: State
  /** Undefined when the operation can't have had its answer in this state. One without an answer fits always. */
  step(state: State, operation: Operation): { state: State } | undefined
  /** Equal states have equal keys. */
  key(state: State): string
}

/** One operation of a client. Times are places in one order of all calls and returns. */
export interface Event<Operation> {
  readonly operation: Operation
  readonly called: number
  /** Infinity when nobody knows: then it may take effect at any time after the call, or never. */
  readonly returned: number
}

/** What the check found. */
export type Verdict =
  | { kind: 'linearizable' }
  /** Nothing orders these; `best` is the longest order that fits, by index into the history. */
  | { kind: 'violation'; best: readonly number[] }
  /** The search took more steps than it may. */
  | { kind: 'unknown' }

/** A call or a return in the list of what is not ordered yet. */
interface Entry {
  readonly at: number
  readonly isCall: boolean
  /** Of a call: its return. */
  match: Entry | undefined
  readonly time: number
  previous: Entry | undefined
  next: Entry | undefined
}

/** Steps after which the search gives up: far beyond what histories of this size need. */
const STEPS_MAX = 5_000_000

/** Checks one object's history. */
export function checkLinearizable<State, Operation>(
  model: Model<State, Operation>,
  history: readonly Event<Operation>[],
  stepsMax: number = STEPS_MAX,
): Verdict {
  const head = listOf(history)
  const seen = new Set<string>()
  const done = new Bits(history.length)
  const twins = twinsOf(history)
  const order: { entry: Entry; before: State }[] = []
  let best: readonly number[] = []
  let state = model.initial
  let entry = head.next
  for (let steps = 0; head.next !== undefined; steps += 1) {
    if (steps > stepsMax) return { kind: 'unknown' }
    if (entry?.isCall) {
      const after = step(model, state, history[entry.at]!)
      const twin = twins[entry.at]
      done.set(entry.at)
      if (
        after !== undefined &&
        (twin === undefined || done.has(twin)) &&
        remember(seen, done, model.key(after.state))
      ) {
        order.push({ entry, before: state })
        state = after.state
        lift(entry)
        if (order.length > best.length) best = order.map((one) => one.entry.at)
        entry = head.next
        continue
      }
      done.clear(entry.at)
      entry = entry.next
      continue
    }
    // A return that nobody knows of is no limit: such an operation may be left out.
    if (entry === undefined || (entry.time === Number.POSITIVE_INFINITY && onlyUnknown(head)))
      return { kind: 'linearizable' }
    // This operation has returned, so it should have been ordered before: go back.
    const last = order.pop()
    if (last === undefined) return { kind: 'violation', best }
    state = last.before
    done.clear(last.entry.at)
    unlift(last.entry)
    entry = last.entry.next
  }
  return { kind: 'linearizable' }
}

/** One of unknown outcome that would change nothing is not ordered here: it may as well never have happened. */
function step<State, Operation>(
  model: Model<State, Operation>,
  state: State,
  { operation, returned }: Event<Operation>,
): { state: State } | undefined {
  const after = model.step(state, operation)
  if (returned < Number.POSITIVE_INFINITY || after === undefined) return after
  return model.key(after.state) === model.key(state) ? undefined : after
}

/** For each operation of unknown outcome the equal one that was called before it: to try the first of them is enough. */
function twinsOf(history: readonly Event<unknown>[]): (number | undefined)[] {
  const last = new Map<string, number>()
  const order = history.map((_, at) => at).sort((a, b) => history[a]!.called - history[b]!.called)
  const twins: (number | undefined)[] = []
  for (const at of order) {
    const { operation, returned } = history[at]!
    if (returned < Number.POSITIVE_INFINITY) continue
    const key = JSON.stringify(operation)
    twins[at] = last.get(key)
    last.set(key, at)
  }
  return twins
}

/** Calls and returns by time, behind an empty head. */
function listOf(history: readonly Event<unknown>[]): Entry {
  const entries = history.flatMap(({ called, returned }, at) => {
    const end: Entry = { ...blank(at), isCall: false, time: returned }
    return [{ ...blank(at), isCall: true, time: called, match: end }, end]
  })
  // Of two unknown returns neither is first; their order does not matter.
  entries.sort((a, b) => (a.time === b.time ? a.at - b.at : a.time - b.time))
  const head: Entry = { ...blank(-1), isCall: false, time: Number.NEGATIVE_INFINITY }
  let last = head
  for (const entry of entries) {
    last.next = entry
    entry.previous = last
    last = entry
  }
  return head
}

function blank(at: number): Pick<Entry, 'at' | 'match' | 'previous' | 'next'> {
  return { at, match: undefined, previous: undefined, next: undefined }
}

/** All that is left begins with the return of an operation of unknown outcome: whoever is left need not have happened. */
function onlyUnknown(head: Entry): boolean {
  for (let entry = head.next; entry !== undefined; entry = entry.next) {
    if (!entry.isCall && entry.time !== Number.POSITIVE_INFINITY) return false
  }
  return true
}

/** Takes an operation's call and return out of the list. */
function lift(call: Entry): void {
  for (const entry of [call, call.match]) {
    if (entry === undefined) continue
    if (entry.previous) entry.previous.next = entry.next
    if (entry.next) entry.next.previous = entry.previous
  }
}

/** Puts back what `lift` took, in the opposite order. */
function unlift(call: Entry): void {
  for (const entry of [call.match, call]) {
    if (entry === undefined) continue
    if (entry.previous) entry.previous.next = entry
    if (entry.next) entry.next.previous = entry
  }
}

function remember(seen: Set<string>, done: Bits, key: string): boolean {
  const name = `${done.text()} ${key}`
  if (seen.has(name)) return false
  seen.add(name)
  return true
}

/** A set of small numbers that makes a short text. */
class Bits {
  readonly #words: Uint16Array

  constructor(size: number) {
    this.#words = new Uint16Array(Math.ceil(size / 15) + 1)
  }

  set(at: number): void {
    const word = Math.floor(at / 15)
    this.#words[word] = this.#words[word]! | (1 << (at % 15))
  }

  has(at: number): boolean {
    return (this.#words[Math.floor(at / 15)]! & (1 << (at % 15))) !== 0
  }

  clear(at: number): void {
    const word = Math.floor(at / 15)
    this.#words[word] = this.#words[word]! & ~(1 << (at % 15))
  }

  text(): string {
    return String.fromCharCode(...this.#words)
  }
}
