// What everything in a simulated cluster shares: one time, one source of chance, the network, the members.

import { RaftChecker } from './raft-checker.ts'
import { drawFaults, type Faults } from './raft-faults.ts'
import { RaftMember } from './raft-member.ts'
import { RunTrace } from './run-trace.ts'
import { seededRandom, VirtualClock } from './virtual-clock.ts'
import { VirtualNetwork } from './virtual-network.ts'

/** A run that needs more events than this goes round in circles. */
const EVENTS_MAX = 400_000

export class RaftWorld {
  readonly clock = new VirtualClock()
  readonly random: () => number
  readonly faults: Faults
  readonly network: VirtualNetwork
  readonly members = new Map<string, RaftMember>()
  readonly checker = new RaftChecker((id) => this.members.get(id)?.disks ?? [])
  readonly trace = new RunTrace()
  readonly initialVoters: { id: string; context: Uint8Array }[] = []
  /** No more faults but those that were left in place. */
  isCalm = false
  #failure: Error | undefined
  #events = 0
  readonly #touched = new Set<RaftMember>()

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.faults = drawFaults(this.random)
    this.network = new VirtualNetwork({
      ...{ clock: this.clock, random: this.random, faults: this.faults },
      deliver: (from, to, message) => this.#deliver(from, to, message),
    })
    for (let left = this.faults.initialVoters; left > 0; left -= 1) {
      this.initialVoters.push(this.addMember(true).asVoter)
    }
    if (this.faults.slowMember) {
      const slow = this.pick([...this.members.values()])
      if (slow !== undefined) slow.isSlow = true
    }
  }

  addMember(isInitial: boolean): RaftMember {
    const member = new RaftMember(this, `n${this.members.size + 1}`, isInitial)
    member.clockFactor = 1 + (this.random() - 0.5) * this.faults.skew
    this.members.set(member.id, member)
    return member
  }

  /** Does something later, unless the faults are over by then. */
  later(ms: number, action: () => void): void {
    this.clock.after(ms, () => {
      if (!this.isCalm) action()
    })
  }

  /** Lets time pass; throws the first thing that went wrong. */
  async advance(ms: number): Promise<void> {
    const until = this.clock.nowMs + ms
    while (this.clock.step(until)) {
      this.#events += 1
      if (this.#events > EVENTS_MAX) throw new Error('the run does not end')
      // Lets every promise that this event settled run before the next event: ticks of the process come
      // after all of its microtasks.
      await new Promise<void>((resolve) => process.nextTick(resolve))
      for (const member of this.#touched) this.#inspect(member)
      this.#touched.clear()
      if (this.#failure !== undefined) throw this.#failure
    }
    this.clock.nowMs = until
  }

  /** The first failure is what the run ends with. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
  }

  /** Runs what may change a member; it is looked at afterwards. */
  enter(member: RaftMember, action: () => void): void {
    this.touch(member)
    try {
      action()
    } catch (error) {
      this.fail(error)
    }
  }

  touch(member: RaftMember): void {
    this.#touched.add(member)
  }

  /** Who leads the highest term. */
  leader(): RaftMember | undefined {
    return this.leaders().sort((a, b) => (b.status?.term ?? 0) - (a.status?.term ?? 0))[0]
  }

  /** Everyone who believes to lead. */
  leaders(): RaftMember[] {
    return [...this.members.values()].filter(({ life }) => life?.record.status?.role === 'leader')
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.random() * items.length)]
  }

  #deliver(from: string, to: string, message: Uint8Array): void {
    const receiver = this.members.get(to)
    if (receiver?.life === undefined) return
    const waitMs = receiver.pausedUntilMs - this.clock.nowMs
    if (waitMs > 0) {
      this.clock.after(waitMs, () => this.#deliver(from, to, message))
      return
    }
    this.trace.onMessage(this.clock.nowMs, from, to, message)
    receiver.receive(from, message)
  }

  #inspect(member: RaftMember): void {
    const { life, status } = member
    if (life === undefined || status === undefined) return
    try {
      this.checker.onStatus(member.walDisk, life.record, status)
    } catch (error) {
      this.fail(error)
    }
  }
}
