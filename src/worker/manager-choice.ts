import type { ManagerAddr } from '../api/assignment.ts'

/**
 * Which manager to try next. Pure. After a redirect the named leader; else one after the other, those that failed just now last: the
 * first word of who leads is often still the leader that was lost.
 */
export class ManagerChoice {
  #managers: ManagerAddr[]
  #leader: ManagerAddr | undefined
  #tried = new Set<string>()

  constructor(managers: readonly ManagerAddr[]) {
    this.#managers = [...managers]
  }

  get managers(): readonly ManagerAddr[] {
    return this.#managers
  }

  /** An empty list teaches nothing: the node must not forget its last way back. */
  learn(managers: readonly ManagerAddr[]): void {
    if (managers.length > 0) this.#managers = [...managers]
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
        : this.#managers.find(({ addr }) => !this.#tried.has(addr))
    if (choice !== undefined) this.#tried.add(choice.addr)
    return choice
  }

  /** Begins a round. `lost`: the manager whose session has just broken is tried only in the round after. */
  begin(lost?: ManagerAddr): void {
    this.#tried = new Set(lost !== undefined && this.#managers.length > 1 ? [lost.addr] : [])
  }
}
