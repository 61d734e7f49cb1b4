import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import { LookLoop } from '../orchestrator/look-loop.ts'
import type { Store } from '../store/store.ts'
import type { Member, MembershipStep } from './plan-membership.ts'
import { managerStatusOf, planMembership } from './plan-membership.ts'

/** The consensus group as the membership manager changes it; the daemon implements it over the raft node. */
export interface ConsensusGroup {
  /** The members as the leader sees them now. */
  members(): Member[]
  addLearner(id: string, addr: string): Promise<void>
  /** The member is reached at another address from now on. */
  setAddr(member: Member, addr: string): Promise<void>
  promote(id: string): Promise<void>
  remove(id: string): Promise<void>
  transferLeadership(to: string): Promise<void>
}

/** How often reachability and the learners' progress are looked at: neither is an event of the store. */
const LOOK_MS = 500

/** On the leader: makes the consensus group follow the nodes' roles, and writes each manager's status where all can read it. */
export class MembershipManager {
  readonly #deps: { store: Store; group: ConsensusGroup; clock: Clock; log: Log }
  readonly #selfId: string
  readonly #loop: LookLoop

  constructor(
    deps: { store: Store; group: ConsensusGroup; clock: Clock; log: Log },
    options: { selfId: string },
  ) {
    this.#deps = deps
    this.#selfId = options.selfId
    const { store, clock, log } = deps
    this.#loop = new LookLoop(
      { store, clock, log, look: () => this.#look() },
      {
        kinds: ['node'],
        periodMs: LOOK_MS,
        failure: 'changing the managers failed, will try again',
      },
    )
  }

  start(): void {
    this.#loop.start()
  }

  stop(): void {
    this.#loop.stop()
  }

  async #look(): Promise<void> {
    const { store, group } = this.#deps
    await this.#writeStatuses()
    const step = planMembership(store.view().list('node'), group.members(), this.#selfId)
    if (!step) return
    await this.#do(step)
    // What comes after a step is planned from what it made.
    this.#loop.trigger()
  }

  async #do(step: MembershipStep): Promise<void> {
    const { group, log } = this.#deps
    log.info({ ...step }, 'changing the managers')
    switch (step.kind) {
      case 'add-learner':
        return group.addLearner(step.id, step.addr)
      case 'set-addr':
        return group.setAddr(step.member, step.addr)
      case 'promote':
        return group.promote(step.id)
      case 'remove':
        return group.remove(step.id)
      case 'transfer':
        return group.transferLeadership(step.to)
      default:
        return step satisfies never
    }
  }

  async #writeStatuses(): Promise<void> {
    const { store, group } = this.#deps
    const members = new Map(group.members().map((member) => [member.id, member]))
    const wanted = (id: string) => managerStatusOf(members.get(id), this.#selfId)
    const isStale = store
      .view()
      .list('node')
      .some((node) => !isDeepStrictEqual(node.ManagerStatus, wanted(node.ID)))
    if (!isStale) return
    await store.update((tx) => {
      for (const node of tx.list('node')) {
        const status = wanted(node.ID)
        if (isDeepStrictEqual(node.ManagerStatus, status)) continue
        const { ManagerStatus: _old, ...rest } = node
        tx.put('node', status ? { ...rest, ManagerStatus: status } : rest)
      }
    })
  }
}
