import { createHash } from 'node:crypto'

/** Lines of the last part of a run, kept to explain a failure. */
const LINES_KEPT = 400

/** What happened in a run, in order: two runs of one seed have the same hash, or the simulation is worth nothing. */
export class Trace {
  readonly #hash = createHash('sha256')
  readonly #nowMs: () => number
  readonly #print: ((line: string) => void) | undefined
  #lines: string[] = []
  /** Events so far. */
  count = 0

  /** `print` gets each line as it happens. */
  constructor(nowMs: () => number, print?: (line: string) => void) {
    this.#nowMs = nowMs
    this.#print = print
  }

  note(what: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${what}`
    this.count += 1
    this.#hash.update(line)
    this.#print?.(line)
    this.#lines.push(line)
    if (this.#lines.length >= 2 * LINES_KEPT) this.#lines = this.#lines.slice(-LINES_KEPT)
  }

  /** The newest lines, oldest first. */
  tail(count: number): string[] {
    return this.#lines.slice(-count)
  }

  /** Of everything so far, in hexadecimal. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }
}
