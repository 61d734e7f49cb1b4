import assert from 'node:assert'

/** Counts what is under way, in all and by the address that it is for: no container takes the places of all. */
export class SourceLimit {
  readonly #max: number
  readonly #maxPerSource: number
  #count = 0
  /** Only sources that have something under way. */
  readonly #bySource = new Map<string, number>()

  constructor(limits: { max: number; maxPerSource: number }) {
    this.#max = limits.max
    this.#maxPerSource = limits.maxPerSource
  }

  /** Whether there was a place; who got one gives it back. */
  take(source: string): boolean {
    const taken = this.#bySource.get(source) ?? 0
    if (this.#count >= this.#max || taken >= this.#maxPerSource) return false
    this.#count++
    this.#bySource.set(source, taken + 1)
    return true
  }

  giveBack(source: string): void {
    const taken = this.#bySource.get(source)
    assert(taken !== undefined, 'no place was taken')
    this.#count--
    if (taken === 1) this.#bySource.delete(source)
    else this.#bySource.set(source, taken - 1)
  }
}
