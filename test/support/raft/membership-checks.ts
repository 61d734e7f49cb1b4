import type { RaftStatus } from '../../../src/raft/node-status.ts'

export function hasMajority(ids: readonly string[], has: (id: string) => boolean): boolean {
  return 2 * ids.filter(has).length > ids.length
}

/**
 * §4.1, §4.3: quorums of one configuration and the next intersect, since at most one voter differs, or one
 * of the two is the joint one.
 */
export function checkMembershipStep(before: RaftStatus | undefined, after: RaftStatus): void {
  if (before === undefined || before.role !== 'leader' || before.term !== after.term) return
  const [old, now] = [new Set(before.voters), new Set(after.voters)]
  const moved =
    [...now].filter((id) => !old.has(id)).length + [...old].filter((id) => !now.has(id)).length
  const leavesJoint = before.joint && !after.joint
  const entersJoint = !before.joint && after.joint
  const isAllowed = entersJoint || moved === 0 || (!before.joint && moved === 1)
  if (!isAllowed || (leavesJoint && moved > 0)) {
    throw new Error(`${after.id} went from voters ${before.voters} to ${after.voters} at once`)
  }
}
