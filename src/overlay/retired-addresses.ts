import type { Clock } from '../api/clock.ts'
import type { OverlayView } from '../api/overlay-view.ts'

/** Milliseconds during which connections to a task that is gone are reset instead of left hanging. */
const RETIRED_MS = 15 * 60_000
/** Addresses kept; the oldest go first. */
const RETIRED_MAX = 4096

/** Addresses of tasks that left the view, until another task or a gateway has them or their time is over. */
export class RetiredAddresses {
  readonly #clock: Clock
  /** Address → end, in order of retirement. */
  readonly #until = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Compares two views. A network that left the view takes its addresses along: they are none of this node's business. */
  onViews(before: OverlayView, after: OverlayView): void {
    const untilMs = this.#clock.nowMs() + RETIRED_MS
    const isNew = before.endpoints !== after.endpoints || before.networks !== after.networks
    if (!isNew) return
    const used = new Set<string>()
    for (const endpoint of after.endpoints.values())
      for (const { addr } of endpoint.addresses) used.add(addr)
    // A node got it as its own: what its host asks and the answers to that are no task's.
    for (const { gateways } of after.networks.values())
      for (const addr of Object.values(gateways)) used.add(addr)
    for (const addr of this.#until.keys()) if (used.has(addr)) this.#until.delete(addr)
    for (const [taskId, endpoint] of before.endpoints) {
      if (after.endpoints.has(taskId)) continue
      for (const { addr, networkId } of endpoint.addresses) {
        if (used.has(addr) || !after.networks.has(networkId)) continue
        this.#until.delete(addr)
        this.#until.set(addr, untilMs)
      }
    }
    for (const addr of this.#until.keys()) {
      if (this.#until.size <= RETIRED_MAX) break
      this.#until.delete(addr)
    }
  }

  /** Those whose time is not over. */
  addresses(): string[] {
    const nowMs = this.#clock.nowMs()
    for (const [addr, untilMs] of this.#until) if (untilMs <= nowMs) this.#until.delete(addr)
    return [...this.#until.keys()]
  }
}
