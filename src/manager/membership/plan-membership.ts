import type { Node } from '../../api/node.ts'

/** A member of the managers' consensus group, as the leader sees it. */
export interface Member {
  id: string
  addr: string
  isVoter: boolean
  /** Heard from recently; the leader itself always. */
  isActive: boolean
  /** A learner that has (nearly) all of the log, so that making it a voter costs no availability. */
  isCaughtUp: boolean
}

/** One step that brings the consensus group closer to the roles that the nodes are to have. */
export type MembershipStep =
  | { kind: 'add-learner'; id: string; addr: string }
  | { kind: 'promote'; id: string }
  /** It registered under another address than the one that the members know. */
  | { kind: 'set-addr'; member: Member; addr: string }
  | { kind: 'remove'; id: string }
  /** The leader itself has to go: another leads first. */
  | { kind: 'transfer'; to: string }

const isWanted = (node: Node | undefined): boolean =>
  node !== undefined && node.Spec.Role === 'manager' && node.Swarmctl.ObservedRole === 'manager'

/** Removing a member must leave a majority of the voters that are left active, else nothing would be decided any more. */
export const keepsQuorum = (members: readonly Member[], removed: Member): boolean => {
  const left = members.filter((member) => member.isVoter && member.id !== removed.id)
  const active = left.filter((member) => member.isActive).length
  return left.length > 0 && active > left.length / 2
}

const removalStep = (
  nodes: ReadonlyMap<string, Node>,
  members: readonly Member[],
  selfId: string,
): MembershipStep | undefined => {
  const unwanted = members.filter((member) => {
    const node = nodes.get(member.id)
    return (node === undefined || node.Spec.Role === 'worker') && keepsQuorum(members, member)
  })
  const other = unwanted.find((member) => member.id !== selfId)
  if (other) return { kind: 'remove', id: other.id }
  if (unwanted.length === 0) return undefined
  const heir = members.find(
    (member) =>
      member.id !== selfId && member.isVoter && member.isActive && isWanted(nodes.get(member.id)),
  )
  return heir && { kind: 'transfer', to: heir.id }
}

const movedMember = (
  nodes: ReadonlyMap<string, Node>,
  members: readonly Member[],
): MembershipStep | undefined => {
  for (const member of members) {
    const addr = nodes.get(member.id)?.Swarmctl.Addr ?? ''
    if (addr !== '' && addr !== member.addr) return { kind: 'set-addr', member, addr }
  }
  return undefined
}

/**
 * The next step, or none: one change of membership at a time, removals first (a dead member counts against the quorum). The caller
 * does it and plans again.
 */
export const planMembership = (
  nodes: readonly Node[],
  members: readonly Member[],
  selfId: string,
): MembershipStep | undefined => {
  const byId = new Map(nodes.map((node) => [node.ID, node]))
  const removal = removalStep(byId, members, selfId)
  if (removal) return removal
  const moved = movedMember(byId, members)
  if (moved) return moved
  const ready = members.find(
    (member) =>
      !member.isVoter && member.isCaughtUp && member.isActive && isWanted(byId.get(member.id)),
  )
  if (ready) return { kind: 'promote', id: ready.id }
  const known = new Set(members.map((member) => member.id))
  const missing = nodes.find(
    (node) => isWanted(node) && !known.has(node.ID) && node.Swarmctl.Addr !== '',
  )
  return missing && { kind: 'add-learner', id: missing.ID, addr: missing.Swarmctl.Addr }
}

/** The ManagerStatus that a node is to show; undefined for a worker. */
export const managerStatusOf = (
  member: Member | undefined,
  leaderId: string,
): Node['ManagerStatus'] =>
  member && {
    ...(member.id === leaderId && { Leader: true }),
    Reachability: member.isActive ? 'reachable' : 'unreachable',
    Addr: member.addr,
  }
