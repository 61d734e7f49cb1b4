import type { RaftCore } from './core.ts'
import type { Role } from './core-state.ts'
import { isVoter, memberIds, type RaftNodeId } from './membership.ts'
import { PROMOTE_LAG_ENTRIES_MAX } from './node-options.ts'
import type { ProgressState } from './progress.ts'
import type { Wal } from './wal-port.ts'

/** What the leader knows of a member's log. */
export interface PeerStatus {
  /** Something was heard of it within the last two election timeouts. */
  readonly reachable: boolean
  /** The index up to which its log is known to be durable; null on nodes that don't lead. */
  readonly matched: number | null
  /** How the leader sends to it; null on nodes that don't lead. */
  readonly state: ProgressState | null
}

/** A picture of a node for its operator and for the layers above. */
export interface RaftStatus {
  readonly id: RaftNodeId
  readonly role: Role
  readonly term: number
  readonly leaderId: RaftNodeId | null
  readonly committed: number
  readonly applied: number
  /** The first and last index in the log. */
  readonly firstIndex: number
  readonly lastIndex: number
  readonly voters: readonly RaftNodeId[]
  readonly learners: readonly RaftNodeId[]
  /** A change of several voters is under way. */
  readonly joint: boolean
  readonly members: ReadonlyMap<RaftNodeId, { context: Uint8Array; voter: boolean }>
  readonly peers: ReadonlyMap<RaftNodeId, PeerStatus>
  /** False while the log gets no more room (a full disk) and proposals are refused. */
  readonly hasRoom: boolean
  /** Synchronous writes of the log since the start. */
  readonly syncCount: number
  readonly removed: boolean
}

/** The voter that a leader hands over to: the one that lacks least of the log. */
export function bestSuccessor(
  core: RaftCore,
  isReachable: (id: RaftNodeId) => boolean,
): RaftNodeId | undefined {
  const others = core.membership.voters.filter((id) => id !== core.id && isReachable(id))
  const matchOf = (id: RaftNodeId) => core.progress.get(id)?.match ?? 0
  return others.sort((a, b) => matchOf(b) - matchOf(a))[0]
}

/** Whether a leader's learner lacks so little of the log that it may vote. */
export function hasCaughtUp(core: RaftCore, id: RaftNodeId): boolean {
  const match = core.progress.get(id)?.match ?? 0
  // Without a snapshot it would not vote yet, and could be missed for a quorum.
  return match > 0 && core.log.committed - match <= PROMOTE_LAG_ENTRIES_MAX
}

/** What `statusOf` needs beside the core. */
export interface StatusInputs {
  readonly core: RaftCore
  readonly isReachable: (id: RaftNodeId) => boolean
  readonly wal: Pick<Wal, 'roomError' | 'syncCount'>
}

/** Takes a picture; nothing in it changes afterwards. */
export function statusOf({ core, isReachable, wal }: StatusInputs): RaftStatus {
  const { membership, log } = core
  const members = new Map<RaftNodeId, { context: Uint8Array; voter: boolean }>()
  const peers = new Map<RaftNodeId, PeerStatus>()
  for (const id of memberIds(membership)) {
    const context = membership.contexts.get(id) ?? new Uint8Array(0)
    members.set(id, { context, voter: isVoter(membership, id) })
    if (id === core.id) continue
    const progress = core.progress.get(id)
    const [matched, state] = [progress?.match ?? null, progress?.state ?? null]
    peers.set(id, { reachable: isReachable(id), matched, state })
  }
  const { id, role, term, leader: leaderId } = core
  const positions = { firstIndex: log.base.index + 1, lastIndex: log.last.index }
  const voters = membership.voters
  const learners = [...membership.learners, ...membership.learnersNext].sort()
  const joint = membership.outgoing.length > 0
  const progress = { committed: log.committed, applied: log.applied, ...positions }
  const who = { id, role, term, leaderId, voters, learners, joint, members, peers }
  const [{ removed }, { roomError, syncCount }] = [core, wal]
  return { ...who, ...progress, hasRoom: roomError === undefined, syncCount, removed }
}
