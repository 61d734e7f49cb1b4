import type { ManagerAddr, ManagersList } from '../api/assignment.ts'

/**
 * Which manager to try next. Pure. After a redirect the named leader; else one after the other, those that failed just now last: the
 * first word of who leads is often still the leader that was lost.
 */
export class ManagerChoice {
  #known: ManagersList
  #leader: ManagerAddr | undefined
  #tried = new Set<string>()

  constructor(known: ManagersList) {
    this.#known = known
  }

  get known(): ManagersList {
    return this.#known
  }

  /**
   * An older list than the known one is what a manager says that was cut off or replaced; unless it is known to be the present one: a
   * state that was restored is older. An empty list teaches nothing: the node must not forget its last way back.
   */
  learn(list: ManagersList, { isPresent = false } = {}): void {
    const { managers, asOf } = list
    if (managers.length > 0 && (isPresent || asOf >= this.#known.asOf))
      this.#known = { managers, asOf }
  }

  /** A manager said that this one leads. */
  redirect(leader: ManagerAddr | undefined): void {
    this.#leader = leader
  }

  /** The next one of this round, or undefined when all were tried: time to wait. */
  next(): ManagerAddr | undefined {
    const leader = this.#leader
    this.#leader = undefined
    const choice =
      leader !== undefined && !this.#tried.has(leader.addr)
        ? leader
        : this.#known.managers.find(({ addr }) => !this.#tried.has(addr))
    if (choice !== undefined) this.#tried.add(choice.addr)
    return choice
  }

  /** Begins a round. `lost`: the manager whose session has just broken is tried only in the round after. */
  begin(lost?: ManagerAddr): void {
    this.#tried = new Set(lost !== undefined && this.#known.managers.length > 1 ? [lost.addr] : [])
  }
}
