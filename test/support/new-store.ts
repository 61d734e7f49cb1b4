import type { Clock } from '../../src/api/clock.ts'
import { MemoryProposer } from '../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../src/manager/store/state.ts'
import { Store } from '../../src/manager/store/store.ts'

/** Stands still. */
export const clock: Clock = { nowMs: () => 1_700_000_000_000, schedule: () => () => {} }

/** An empty store over a log in memory. */
export const newStore = () => {
  const state = new StoreState()
  const proposer = new MemoryProposer(state)
  return { state, proposer, store: new Store({ state, proposer, clock }) }
}
