/** What clients did and saw of registers that each have one writer, who writes 1, 2, 3 … one after the other. */

/** One call of a client; times are of one clock, milliseconds. */
export interface Call {
  readonly kind: 'write' | 'read'
  readonly register: string
  /** Written, or read. */
  readonly value: number
  readonly startMs: number
  readonly endMs: number
  /** `unknown`: a write without an answer, which may still take effect. Reads without an answer say nothing and are not noted. */
  readonly outcome: 'ok' | 'unknown'
}

const newest = (calls: readonly Call[]): number =>
  calls.reduce((value, call) => Math.max(value, call.value), 0)

/**
 * Whether the history is linearizable. With one writer per register and rising values that is: a read sees at least what was
 * acknowledged, and what any read had seen, before it began; and nothing that was not yet being written when it ended. Each violation is
 * one line; none for a good history.
 */
export const violations = (history: readonly Call[]): string[] => {
  const found: string[] = []
  for (const [register, calls] of Map.groupBy(history, (call) => call.register)) {
    const settled = calls.filter((call) => call.outcome === 'ok')
    for (const read of calls) {
      if (read.kind !== 'read') continue
      const floor = newest(settled.filter((call) => call.endMs < read.startMs))
      const begun = (call: Call): boolean => call.kind === 'write' && call.startMs <= read.endMs
      const ceiling = newest(calls.filter(begun))
      if (read.value < floor)
        found.push(`${register}: stale: read ${read.value} after ${floor} was acknowledged or read`)
      if (read.value > ceiling) found.push(`${register}: read ${read.value}, written by nobody yet`)
    }
  }
  return found
}

/** Notes how a write ended; `unknown` may be said too, or nothing. */
type Settle = (outcome: Call['outcome'], endMs: number) => void

const UNANSWERED = { outcome: 'unknown', endMs: Number.POSITIVE_INFINITY } as const

/** Keeps the calls of clients: checked in slices, so that the memory of a long run stays bounded. */
export class History {
  #calls: Call[] = []
  readonly #acknowledged = new Map<string, number>()
  writes = 0
  unknown = 0
  reads = 0

  /** A read that was answered. */
  read(register: string, value: number, startMs: number, endMs: number): void {
    this.#calls.push({ kind: 'read', register, value, startMs, endMs, outcome: 'ok' })
    this.reads += 1
  }

  /** A write begins: from now on others may read its value. The returned function notes how it ended. */
  write(register: string, value: number, startMs: number): Settle {
    const begun: Call = { ...{ kind: 'write', register, value, startMs }, ...UNANSWERED }
    this.#calls.push(begun)
    return (outcome, endMs) => {
      if (outcome === 'unknown') this.unknown += 1
      else {
        this.writes += 1
        this.#acknowledged.set(register, value)
        this.#calls[this.#calls.indexOf(begun)] = { ...begun, outcome, endMs }
      }
    }
  }

  /** The newest acknowledged value of each register. */
  get acknowledged(): ReadonlyMap<string, number> {
    return this.#acknowledged
  }

  /** When the first write that began at or after `sinceMs` was acknowledged, among these registers. */
  firstWrite(sinceMs: number, registers: ReadonlySet<string>): number | undefined {
    const ends = this.#calls
      .filter((call) => call.kind === 'write' && call.outcome === 'ok')
      .filter((call) => call.startMs >= sinceMs && registers.has(call.register))
      .map((call) => call.endMs)
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  /** Checks what there is and forgets it, but for each register's newest settled calls and its writes without an answer (yet). */
  check(): string[] {
    const found = violations(this.#calls)
    const kept: Call[] = []
    for (const calls of Map.groupBy(this.#calls, (call) => call.register).values()) {
      const settled = calls.filter((call) => call.outcome === 'ok')
      const top = newest(settled)
      kept.push(...settled.filter((call) => call.value === top))
      kept.push(...calls.filter((call) => call.kind === 'write' && call.value >= top))
    }
    this.#calls = [...new Set(kept)]
    return found
  }
}
