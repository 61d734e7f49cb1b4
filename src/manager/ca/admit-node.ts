import { precondition, SwarmctlError } from '../../api/errors.ts'
import type { Cluster } from '../../api/swarm.ts'
import { sameToken } from '../../pki/join-token.ts'
import type { Tx } from '../store/tx.ts'
import { type NewNode, newNode } from './new-node.ts'
import { freeNodeIndex } from './node-index.ts'

/** How long a join may be tried again with the same key, milliseconds. */
export const JOIN_RETRY_MS = 10 * 60_000

/** Who a node that was admitted is. */
export interface Admitted {
  nodeId: string
  role: 'worker' | 'manager'
}

/** The role that a token gives; undefined for one that is not valid (any more). */
export const tokenRole = (cluster: Cluster, token: string): 'worker' | 'manager' | undefined => {
  // Both are always compared: how long it takes tells nothing.
  const isManager = sameToken(token, cluster.JoinTokens.Manager)
  const isWorker = sameToken(token, cluster.JoinTokens.Worker)
  if (isManager) return 'manager'
  return isWorker ? 'worker' : undefined
}

const roleOfToken = (cluster: Cluster, token: string): 'worker' | 'manager' => {
  const role = tokenRole(cluster, token)
  if (role !== undefined) return role
  throw new SwarmctlError(
    'UNAUTHENTICATED',
    'the join token is not valid any more: print the current one on a manager with `swarmctl swarm join-token`',
  )
}

/**
 * Admits a node within a transaction: checks the token, creates the node object with the smallest free index. A repeated join is
 * answered with the node that exists. Throws UNAUTHENTICATED, or FAILED_PRECONDITION (cluster full, key used before, another data path
 * port).
 */
export const admitNode = (
  tx: Tx,
  cluster: Cluster,
  join: Omit<NewNode, 'index' | 'role'> & { token: string; dataPathPort?: number | undefined },
  nowMs: number,
): Admitted => {
  // A token that is rotated in this moment must not admit anybody.
  tx.touch('cluster', cluster.ID)
  const role = roleOfToken(cluster, join.token)
  requireDataPathPort(cluster, join.dataPathPort)
  const { nodeId } = join
  if (cluster.Swarmctl.RemovedNodes.includes(nodeId)) throw keyUsed()
  const existing = tx.get('node', nodeId)
  if (existing) {
    if (nowMs - Date.parse(existing.CreatedAt) > JOIN_RETRY_MS) throw keyUsed()
    return { nodeId, role: existing.Spec.Role }
  }
  tx.put('node', newNode({ ...join, role, index: freeNodeIndex(tx.list('node')) }))
  return { nodeId, role }
}

/** Overlay traffic to a node with another port would be lost without a word. */
const requireDataPathPort = ({ DataPathPort }: Cluster, port: number | undefined): void => {
  if (port === undefined || port === DataPathPort) return
  throw precondition(
    `this swarm's data path port is ${DataPathPort}, this daemon has ${port}: start it with --data-path-port ${DataPathPort} and join again`,
  )
}

const keyUsed = (): SwarmctlError =>
  precondition('a node joined with this key before: join again with a new one')
