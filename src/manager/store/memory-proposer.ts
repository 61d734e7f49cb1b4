import type { Proposer } from './proposer.ts'
import type { StoreState } from './state.ts'

/** A log of one manager in memory: commands apply in the order of their proposal, each in a microtask of its own. */
export class MemoryProposer implements Proposer {
  readonly #state: StoreState
  #index: number
  /** Every command with its index, oldest first, so that a test can replay them. */
  readonly log: { index: number; command: Uint8Array }[] = []

  constructor(state: StoreState) {
    this.#state = state
    this.#index = state.view().index
  }

  async propose(command: Uint8Array): Promise<{ index: number; result: unknown }> {
    // Never within the proposer's own call: it may be a watcher.
    await null
    const index = ++this.#index
    this.log.push({ index, command })
    return { index, result: this.#state.apply(index, command).result }
  }

  async readBarrier(): Promise<void> {
    await null
  }
}
