import type { Clock } from '../api/clock.ts'
import { unavailable } from '../api/errors.ts'
import type { InitRequest } from '../api/swarm.ts'
import { LOCKED, WORKER } from '../http/membership.ts'
import type { NodeStatus } from '../http/ports.ts'
import { type Credentials, checkValidity } from '../pki/credentials.ts'
import type { Interfaces } from './addresses.ts'
import type { Member, MemberStart } from './member.ts'
import { nodeAddresses } from './node-addresses.ts'
import type { NodeRecord } from './node-file.ts'
import { NO_STATE_TO_FORCE, NOTHING_TO_FORCE } from './refusals.ts'

/** What a daemon is when it is asked to go on alone. */
export interface ForceableNode {
  state: NodeStatus['localNodeState']
  member: Pick<Member, 'start' | 'record' | 'runtime'> | undefined
  /** A membership that can't be resumed for now. */
  stalled: MemberStart | undefined
}

/**
 * How a manager begins again as the only one, with what it has (`init --force-new-cluster`). Throws UNAVAILABLE where that would be
 * nothing: the swarm would be replaced by an empty one, and the command would say that all is well.
 */
export const forcedStart = (
  { state, member, stalled }: ForceableNode,
  request: InitRequest,
  interfaces: Interfaces,
): MemberStart => {
  if (state === 'inactive') throw unavailable(NOTHING_TO_FORCE)
  if (state === 'locked') throw unavailable(LOCKED)
  const start = member?.start ?? stalled
  if (start?.credentials.role !== 'manager') throw unavailable(WORKER)
  // Of one that can't be resumed raft says so when it opens what there is.
  if (member && !member.runtime?.store.view().cluster()) throw unavailable(NO_STATE_TO_FORCE)
  const before = member?.record ?? start.record
  const asked = request.AdvertiseAddr === '' ? {} : nodeAddresses(request, interfaces)
  const self = { nodeId: before.nodeId, addr: { ...before, ...asked }.advertiseAddr }
  return {
    ...start,
    record: { ...before, ...asked, managers: [self], managersAsOf: 0, forcesNewCluster: true },
  }
}

/**
 * Throws UNAUTHENTICATED when the node's certificate is not valid now. A manager that goes on alone may come with an expired one (as with
 * swarmkit): it has the CA, and certifies itself.
 */
export const requireValidity = (
  { forcesNewCluster = false }: Pick<NodeRecord, 'forcesNewCluster'>,
  credentials: Credentials,
  clock: Clock,
): void =>
  checkValidity(credentials, clock, {
    mayHaveExpired: forcesNewCluster && credentials.role === 'manager',
  })
