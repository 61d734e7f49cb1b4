/**
 * Which nodes are to be marked down: those not heard of until their deadline. Pure; the caller has the clock and the timer, and
 * sweeps at a steady rate. The clock may be set meanwhile.
 */
export class Liveness {
  readonly #nodes = new Map<string, { deadlineMs: number; limitMs: number }>()
  readonly #stallMs: number
  #sweptMs: number | undefined

  /**
   * `stallMs`: a sweep that comes this late shows that this process itself stood still and heard nobody, or that the clock was set; one
   * from before the last that it was set back. Then every deadline moves along, but is no further away than its limit.
   */
  constructor(options: { stallMs: number }) {
    this.#stallMs = options.stallMs
  }

  /** The node was heard of, which is good for `limitMs`. */
  heard(nodeId: string, nowMs: number, limitMs: number): void {
    this.#nodes.set(nodeId, { deadlineMs: nowMs + limitMs, limitMs })
  }

  /** A node that is yet to register has `limitMs` for it; a known later deadline stays. */
  expect(nodeId: string, nowMs: number, limitMs: number): void {
    if ((this.#nodes.get(nodeId)?.deadlineMs ?? 0) < nowMs + limitMs)
      this.heard(nodeId, nowMs, limitMs)
  }

  forget(nodeId: string): void {
    this.#nodes.delete(nodeId)
  }

  has(nodeId: string): boolean {
    return this.#nodes.has(nodeId)
  }

  /** Takes the nodes whose deadline has passed. */
  sweep(nowMs: number): string[] {
    const sinceMs = nowMs - (this.#sweptMs ?? nowMs)
    this.#sweptMs = nowMs
    if (sinceMs > this.#stallMs || sinceMs < 0) {
      for (const node of this.#nodes.values())
        node.deadlineMs = Math.min(node.deadlineMs + Math.max(0, sinceMs), nowMs + node.limitMs)
      return []
    }
    const down = [...this.#nodes].filter(([, { deadlineMs }]) => deadlineMs < nowMs)
    for (const [nodeId] of down) this.#nodes.delete(nodeId)
    return down.map(([nodeId]) => nodeId)
  }
}
