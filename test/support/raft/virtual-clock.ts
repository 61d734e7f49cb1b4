// Time that only moves when the simulation moves it.

import type { Clock } from '../../../src/raft/clock.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

/** A queue of what will happen, by time and then by the order in which it was planned. */
export class VirtualClock {
  #heap: Event[] = []
  #order = 0
  nowMs = 0

  /** A clock for one life of one process: when `isAlive` is false its timers never fire. */
  clockFor(isAlive: () => boolean, delayOf: (ms: number) => number = (ms) => ms): Clock {
    const after = (delayMs: number, callback: () => void) =>
      this.after(delayOf(delayMs), () => {
        if (isAlive()) callback()
      })
    return { after, defer: (callback) => after(0, callback) }
  }

  after(delayMs: number, run: () => void): () => void {
    this.#order += 1
    const event = { at: this.nowMs + delayMs, order: this.#order, run, cancelled: false }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** Runs the next event up to a time; false when there is none. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.at > untilMs) return false
      this.#pop()
      if (next.cancelled) continue
      this.nowMs = next.at
      next.run()
      return true
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (before(heap[parent]!, event)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1
      if (before(last, heap[child]!)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** A seeded source of numbers in [0, 1) (mulberry32): the same seed gives the same run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
