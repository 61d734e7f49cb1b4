import { SwarmctlError } from '../api/errors.ts'
import type { NodeStatus } from './ports.ts'

/** Docker's own words, which clients show as they are. */
const NOT_IN_SWARM =
  'This node is not a swarm manager. Use "swarmctl init" or "swarmctl join" (or "docker swarm init" or "docker swarm join") to connect this node to swarm and try again.'
export const WORKER =
  "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager."
export const LOCKED =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "swarmctl unlock" (or "docker swarm unlock") to unlock it.'
const PENDING = 'This node is just starting, joining or leaving: try again in a moment.'
const IN_SWARM =
  'This node is already part of a swarm. Use "swarmctl leave" (or "docker swarm leave") to leave this swarm and join another one.'
const NO_SWARM = 'This node is not part of a swarm'

const unavailable = (message: string): SwarmctlError => new SwarmctlError('UNAVAILABLE', message)

/** Whether this node has the cluster's state. */
export const isManager = (status: NodeStatus): boolean =>
  status.localNodeState === 'active' && status.role === 'manager'

/** @throws SwarmctlError UNAVAILABLE, with Docker's text, unless this node is a manager in service */
export const requireManager = (status: NodeStatus): void => {
  if (isManager(status)) return
  if (status.localNodeState === 'locked') throw unavailable(LOCKED)
  if (status.localNodeState === 'error' && status.error !== '') throw unavailable(status.error)
  if (status.localNodeState === 'pending') throw unavailable(PENDING)
  throw unavailable(status.localNodeState === 'active' ? WORKER : NOT_IN_SWARM)
}

/** @throws SwarmctlError UNAVAILABLE when this node is, or is about to be, in a swarm */
export const requireNoSwarm = (status: NodeStatus): void => {
  if (status.localNodeState !== 'inactive') throw unavailable(IN_SWARM)
}

/** @throws SwarmctlError UNAVAILABLE when there is nothing to leave */
export const requireSwarm = (status: NodeStatus): void => {
  if (status.localNodeState === 'inactive') throw unavailable(NO_SWARM)
}

/** @throws SwarmctlError, status 409 as Docker's, of a manager in service; UNAVAILABLE of what is none */
export const requireLocked = (status: NodeStatus): void => {
  if (status.localNodeState === 'locked') return
  requireManager(status)
  throw new SwarmctlError('ALREADY_EXISTS', 'swarm is not locked')
}
