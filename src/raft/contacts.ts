import type { RaftNodeId } from './membership.ts'

/** When each other member was last heard of. */
export class Contacts {
  readonly #silenceTicksMax: number
  readonly #heardTick = new Map<RaftNodeId, number>()

  /** Who is silent for longer than `silenceTicksMax` is out of reach. */
  constructor(silenceTicksMax: number) {
    this.#silenceTicksMax = silenceTicksMax
  }

  onHeard(id: RaftNodeId, tick: number): void {
    this.#heardTick.set(id, tick)
  }

  onClosed(id: RaftNodeId): void {
    this.#heardTick.delete(id)
  }

  isReachable(id: RaftNodeId, tick: number): boolean {
    const heard = this.#heardTick.get(id)
    return heard !== undefined && tick - heard <= this.#silenceTicksMax
  }
}
