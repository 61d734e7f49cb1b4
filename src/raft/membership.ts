// Who belongs to the cluster. A change takes effect when its entry is applied, on every member at
// the same index; never on append, so a truncated change needs no undoing.

import { assert } from './assert.ts'

/** The id of a member; 25 characters here, but Raft only compares and orders it. */
export type RaftNodeId = string

/** Ids that were removed are kept so that whoever missed it is told; the oldest go beyond this. */
const REMOVED_IDS_MAX = 10_000

/**
 * The configuration of the cluster at one index. All lists are sorted. `outgoing` is not empty
 * exactly while a joint change is under way; `learnersNext` are voters of the outgoing
 * configuration that become learners when it is left.
 */
export interface Membership {
  readonly voters: readonly RaftNodeId[]
  readonly outgoing: readonly RaftNodeId[]
  readonly learners: readonly RaftNodeId[]
  readonly learnersNext: readonly RaftNodeId[]
  readonly removed: readonly RaftNodeId[]
  /** What the application says about each member (its address), opaque here. */
  readonly contexts: ReadonlyMap<RaftNodeId, Uint8Array>
}

/** One step of a change. Adding a learner that votes demotes it; adding a voter that learns promotes it. */
export type MemberChange =
  | { readonly kind: 'add-voter'; readonly id: RaftNodeId; readonly context?: Uint8Array }
  | { readonly kind: 'add-learner'; readonly id: RaftNodeId; readonly context?: Uint8Array }
  | { readonly kind: 'remove'; readonly id: RaftNodeId }

/** What a membership entry holds: changes to make, or the end of a joint configuration. */
export type MembershipCommand =
  | { readonly kind: 'change'; readonly changes: readonly MemberChange[] }
  | { readonly kind: 'leave-joint' }

/** The membership of a node that belongs to no cluster yet. */
export const EMPTY_MEMBERSHIP: Membership = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  removed: [],
  contexts: new Map(),
}

/** Every id that replication goes to, sorted. */
export function memberIds(membership: Membership): RaftNodeId[] {
  const { voters, outgoing, learners, learnersNext } = membership
  return [...new Set([...voters, ...outgoing, ...learners, ...learnersNext])].sort()
}

/** Whether an id votes now, in either half of a joint configuration. */
export function isVoter(membership: Membership, id: RaftNodeId): boolean {
  return membership.voters.includes(id) || membership.outgoing.includes(id)
}

/** Says why a command can't be applied to a membership; undefined when it can. */
export function refusalOf(membership: Membership, command: MembershipCommand): string | undefined {
  const joint = membership.outgoing.length > 0
  if (command.kind === 'leave-joint') return joint ? undefined : 'no joint change is under way'
  if (joint) return 'a membership change is under way'
  if (command.changes.length === 0) return 'nothing to change'
  const ids = command.changes.map((change) => change.id)
  if (new Set(ids).size !== ids.length) return 'a member occurs twice in one change'
  // It may have forgotten what it voted and acknowledged: it learns all of the log before it votes again.
  const reused = command.changes.find(
    (change) => change.kind === 'add-voter' && membership.removed.includes(change.id),
  )
  if (reused !== undefined) return `${reused.id} was removed before: it comes back as a learner`
  if (applyChanges(membership, command.changes).voters.length === 0) return 'no voter would be left'
  return undefined
}

/**
 * The membership after a committed command: the same on every member. One change of the voters
 * takes effect at once; several go through a joint configuration, which the leader ends by itself
 * (auto-leave). A command that no longer fits changes nothing.
 */
export function applyMembership(membership: Membership, command: MembershipCommand): Membership {
  if (refusalOf(membership, command) !== undefined) return membership
  if (command.kind === 'leave-joint') return leaveJoint(membership)
  const changed = applyChanges(membership, command.changes)
  const before = new Set(membership.voters)
  const after = new Set(changed.voters)
  const moved =
    [...before].filter((id) => !after.has(id)).length +
    changed.voters.filter((id) => !before.has(id)).length
  // The first configuration has no predecessor whose majority could disagree.
  if (moved <= 1 || before.size === 0) return changed
  const demoted = changed.learners.filter((id) => before.has(id))
  return {
    ...changed,
    outgoing: membership.voters,
    learners: changed.learners.filter((id) => !before.has(id)),
    learnersNext: demoted,
    // An outgoing voter still votes and is still sent to, so its address stays until the end.
    contexts: new Map([...outgoingContexts(membership), ...changed.contexts]),
    removed: changed.removed.filter((id) => !before.has(id)),
  }
}

function outgoingContexts(membership: Membership): [RaftNodeId, Uint8Array][] {
  return [...membership.contexts].filter(([id]) => membership.voters.includes(id))
}

function leaveJoint(membership: Membership): Membership {
  const learners = sorted([...membership.learners, ...membership.learnersNext])
  const staying = new Set([...membership.voters, ...learners])
  const gone = membership.outgoing.filter((id) => !staying.has(id))
  return {
    voters: membership.voters,
    outgoing: [],
    learners,
    learnersNext: [],
    contexts: new Map([...membership.contexts].filter(([id]) => staying.has(id))),
    removed: withRemoved(membership.removed, gone),
  }
}

function applyChanges(membership: Membership, changes: readonly MemberChange[]): Membership {
  const voters = new Set(membership.voters)
  const learners = new Set(membership.learners)
  const contexts = new Map(membership.contexts)
  const gone: RaftNodeId[] = []
  for (const change of changes) {
    if (change.kind === 'remove') {
      if (voters.has(change.id) || learners.has(change.id)) gone.push(change.id)
      voters.delete(change.id)
      learners.delete(change.id)
      contexts.delete(change.id)
      continue
    }
    if (change.context !== undefined) contexts.set(change.id, change.context)
    const [into, outOf] = change.kind === 'add-voter' ? [voters, learners] : [learners, voters]
    into.add(change.id)
    outOf.delete(change.id)
  }
  const removed = withRemoved(
    membership.removed.filter((id) => !learners.has(id)),
    gone,
  )
  const next = { voters: sorted(voters), outgoing: [], learners: sorted(learners) }
  assert(!next.voters.some((id) => learners.has(id)), 'a member votes and learns at once')
  return { ...next, learnersNext: [], removed, contexts }
}

function withRemoved(removed: readonly RaftNodeId[], gone: readonly RaftNodeId[]): RaftNodeId[] {
  return [...removed, ...gone].slice(-REMOVED_IDS_MAX)
}

function sorted(ids: Iterable<RaftNodeId>): RaftNodeId[] {
  return [...ids].sort()
}
