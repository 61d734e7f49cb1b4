// A cluster of real nodes (the whole loop, not only the core) on virtual time, with a network and disks
// that fail as the seed says, and then an end in which a quorum must go on and all must agree.

import { act } from './raft-actions.ts'
import type { RaftChecker } from './raft-checker.ts'
import { mustRecover } from './raft-liveness.ts'
import { request } from './raft-workload.ts'
import { RaftWorld } from './raft-world.ts'

/** How long faults last, in simulated time. */
const FAULTY_MS = 8_000

export class RaftSimulation {
  readonly #world: RaftWorld

  constructor(seed: number) {
    this.#world = new RaftWorld(seed)
  }

  get checker(): RaftChecker {
    return this.#world.checker
  }

  /** A hash over everything that was sent and arrived: the same for each run of a seed. */
  get traceHash(): string {
    return this.#world.trace.hash
  }

  /** Runs faults, then recovery; throws the first broken invariant. */
  async run(): Promise<void> {
    const world = this.#world
    const { actMs, clientMs } = world.faults
    for (const member of world.members.values()) member.boot()
    this.#plan(actMs, () => act(world))
    this.#plan(clientMs, () => request(world))
    await world.advance(FAULTY_MS)
    await mustRecover(world)
  }

  /** Does something again and again, at random times around a mean. */
  #plan(meanMs: number, action: () => void): void {
    const world = this.#world
    world.clock.after(world.random() * 2 * meanMs, () => {
      if (world.isCalm) return
      action()
      this.#plan(meanMs, action)
    })
  }
}
