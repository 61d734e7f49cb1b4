// Changes of the members, as an operator makes them: learners first, one voter or several at a time, and
// removed ones that come back without anything on their disk.

import type { MemberChange } from '../../../src/raft/membership.ts'
import type { RaftNode } from '../../../src/raft/node.ts'
import type { RaftStatus } from '../../../src/raft/node-status.ts'
import type { RaftWorld } from './raft-world.ts'

const VOTERS_MAX = 5
const MEMBERS_MAX = 9

/** Asks the leader for one change; it may refuse it, or end before it is done. */
export function changeMembers(world: RaftWorld): void {
  const leader = world.pick(world.leaders())
  const [node, status] = [leader?.life?.node, leader?.status]
  if (node === undefined || status === undefined) return
  const choice = Math.floor(world.random() * 6)
  const done = [addLearner, promote, remove, demote, replace, comeBack][choice]?.(
    ...([world, node, status] as const),
  )
  // Refused, dropped or unknown: all are answers.
  done?.catch(() => {})
}

type Change = (world: RaftWorld, node: RaftNode, status: RaftStatus) => Promise<void> | undefined

const addLearner: Change = (world, node, { learners }) => {
  if (learners.length >= 2 || world.members.size >= MEMBERS_MAX) return undefined
  const member = world.addMember(false)
  member.boot()
  return node.addLearner(member.id, member.asVoter.context)
}

const promote: Change = (world, node, { learners, voters }) => {
  const learner = world.pick(learners)
  return learner === undefined || voters.length >= VOTERS_MAX ? undefined : node.promote(learner)
}

const remove: Change = (world, node, { voters, learners }) => {
  const gone = world.pick([...(voters.length > 2 ? voters : []), ...learners])
  return gone === undefined ? undefined : node.removeNode(gone)
}

const demote: Change = (world, node, { voters, id }) => {
  const gone = world.pick(voters.filter((one) => one !== id))
  if (gone === undefined || voters.length <= 2) return undefined
  return node.changeMembers([{ kind: 'add-learner', id: gone }])
}

/** Learners that have the state take the places of voters, in one step: joint consensus. */
const replace: Change = (world, node, { id, voters, learners, peers }) => {
  const ready = learners.filter((id) => (peers.get(id)?.matched ?? 0) > 0)
  if (ready.length === 0) return undefined
  const shuffled = [...voters].sort(() => world.random() - 0.5)
  const gone = shuffled.slice(0, Math.min(ready.length, voters.length))
  const changes: MemberChange[] = ready.map((id) => ({ kind: 'add-voter', id }))
  const kind = world.random() < 0.5 ? 'remove' : 'add-learner'
  // Half of the time the leader ends before the change does.
  const leader = world.members.get(id)
  if (leader !== undefined && world.random() < 0.5) {
    world.later(world.random() * 200, () => leader.crash())
    world.later(200 + world.random() * 400, () => leader.boot())
  }
  return node.changeMembers([...changes, ...gone.map((id) => ({ kind, id }) as const)])
}

/** One that was removed, or never got in, is added, with an empty disk. */
const comeBack: Change = (world, node, { members, voters }) => {
  const outside = [...world.members.values()].filter(
    (one) => one.life !== undefined && !members.has(one.id) && (one.isRemoved || one.isEmpty),
  )
  const member = world.pick(outside)
  if (member === undefined) return undefined
  // Whoever still counts on it would wait for ever: see "Limits" in docs/design/raft.md.
  if (voters.some((id) => world.members.get(id)?.hasStored(member.id))) return undefined
  if (member.isRemoved) member.wipe()
  return node.addLearner(member.id, member.asVoter.context)
}
