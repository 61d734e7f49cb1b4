import type { RaftCore } from './core.ts'
import type { RaftNodeId } from './membership.ts'

/** Who leads, whether that is this node and it knows all that was committed before it, and whether this node is still a member. */
type Known = Pick<RaftCore, 'leader' | 'isCurrentLeader' | 'removed'>

export interface StandingListeners {
  /** Another leader, or none; `isReady` when this node itself leads and its state is what the cluster agreed on. */
  readonly onLeader: (leader: RaftNodeId | null, isReady: boolean) => void
  readonly onRemoved: () => void
}

/** Tells of a node's standing in the cluster whenever it has changed. */
export class Standing {
  readonly #listeners: StandingListeners
  #known: Known = { leader: null, isCurrentLeader: false, removed: false }

  constructor(listeners: StandingListeners) {
    this.#listeners = listeners
  }

  differsFrom({ leader, isCurrentLeader, removed }: Known): boolean {
    const known = this.#known
    return (
      leader !== known.leader ||
      isCurrentLeader !== known.isCurrentLeader ||
      removed !== known.removed
    )
  }

  update({ leader, isCurrentLeader, removed }: Known): void {
    const before = this.#known
    this.#known = { leader, isCurrentLeader, removed }
    if (leader !== before.leader || isCurrentLeader !== before.isCurrentLeader)
      this.#listeners.onLeader(leader, isCurrentLeader)
    if (removed && !before.removed) this.#listeners.onRemoved()
  }
}
