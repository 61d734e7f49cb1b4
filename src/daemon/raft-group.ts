import type { RaftReport } from '../manager/control/manager-calls.ts'
import type { ConsensusGroup } from '../manager/membership/membership-manager.ts'
import type { Member } from '../manager/membership/plan-membership.ts'
import type { RaftNode } from '../raft/node.ts'
import type { RaftStatus } from '../raft/node-status.ts'
import { translated } from './raft-proposer.ts'

/** A learner may become a voter when it lacks no more entries than this. */
const CAUGHT_UP_ENTRIES_MAX = 500

const text = new TextDecoder()
const bytes = new TextEncoder()

/** A member's address travels as its context, so that every member knows all addresses. */
export const encodeAddr = (addr: string): Uint8Array => bytes.encode(addr)
export const decodeAddr = (context: Uint8Array): string => text.decode(context)

/** The members as the leader sees them. */
export const membersOf = (status: RaftStatus): Member[] =>
  [...status.members].map(([id, { context, voter }]) => {
    const peer = status.peers.get(id)
    return {
      id,
      addr: decodeAddr(context),
      isVoter: voter,
      isActive: id === status.id || (peer?.reachable ?? false),
      isCaughtUp:
        id === status.id || (peer?.matched ?? 0) >= status.committed - CAUGHT_UP_ENTRIES_MAX,
    }
  })

/** A manager's place in the consensus group, as it tells other managers. */
export const raftReport = (status: RaftStatus): RaftReport => {
  const { id, role, term, leaderId, committed, applied, firstIndex, lastIndex, syncCount } = status
  return { id, role, term, leaderId, committed, applied, firstIndex, lastIndex, syncCount }
}

/** The raft node as the membership manager changes it. */
export const raftGroup = (node: RaftNode): ConsensusGroup => ({
  members: () => membersOf(node.status()),
  addLearner: (id, addr) => translated(node.addLearner(id, encodeAddr(addr))),
  setAddr: ({ id, isVoter }, addr) => {
    const kind = isVoter ? 'add-voter' : 'add-learner'
    return translated(node.changeMembers([{ kind, id, context: encodeAddr(addr) }]))
  },
  promote: (id) => translated(node.promote(id)),
  remove: (id) => translated(node.removeNode(id)),
  transferLeadership: (to) => translated(node.transferLeadership(to)),
})
