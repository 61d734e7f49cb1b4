/**
 * Which nodes are to be marked down: those not heard of until their deadline. Pure; the caller has the clock and the timer.
 */
export class Liveness {
  readonly #deadlineMs = new Map<string, number>()
  readonly #stallMs: number
  #sweptMs: number | undefined

  /** `stallMs`: a sweep that comes this late shows that this process itself stood still and heard nobody, so every deadline moves by the delay. */
  constructor(options: { stallMs: number }) {
    this.#stallMs = options.stallMs
  }

  /** The node was heard of, which is good until `deadlineMs`. */
  heard(nodeId: string, deadlineMs: number): void {
    this.#deadlineMs.set(nodeId, deadlineMs)
  }

  /** A node that is yet to register has until `deadlineMs`; a known later deadline stays. */
  expect(nodeId: string, deadlineMs: number): void {
    if ((this.#deadlineMs.get(nodeId) ?? 0) < deadlineMs) this.#deadlineMs.set(nodeId, deadlineMs)
  }

  forget(nodeId: string): void {
    this.#deadlineMs.delete(nodeId)
  }

  has(nodeId: string): boolean {
    return this.#deadlineMs.has(nodeId)
  }

  /** Takes the nodes whose deadline has passed. */
  sweep(nowMs: number): string[] {
    const sinceMs = nowMs - (this.#sweptMs ?? nowMs)
    this.#sweptMs = nowMs
    if (sinceMs > this.#stallMs) {
      for (const [nodeId, deadlineMs] of this.#deadlineMs)
        this.#deadlineMs.set(nodeId, deadlineMs + sinceMs)
      return []
    }
    const down = [...this.#deadlineMs].filter(([, deadlineMs]) => deadlineMs < nowMs)
    for (const [nodeId] of down) this.#deadlineMs.delete(nodeId)
    return down.map(([nodeId]) => nodeId)
  }
}
