import { isDeepStrictEqual } from 'node:util'
import type { SessionRequest } from '../../api/assignment.ts'
import { notFound } from '../../api/errors.ts'
import type { Node, NodeDescription } from '../../api/node.ts'
import type { Tx } from '../store/tx.ts'

/** Writes what a node says of itself when it registers, and that it is ready. Writes nothing when all of it is known. */
export const registerNode = (tx: Tx, request: SessionRequest, address: string): void => {
  const node = tx.get('node', request.nodeId)
  if (node === undefined) throw notFound(`node ${request.nodeId} not found`)
  const registered = {
    ...node,
    Description: request.description,
    Status: { State: 'ready' as const, Addr: address },
    Swarmctl: { ...node.Swarmctl, Addr: request.addr },
  }
  if (!isDeepStrictEqual(registered, node)) tx.put('node', registered)
}

/** Writes a description that changed while the node is registered, e.g. that its Engine does not answer. */
export const describeNode = (tx: Tx, nodeId: string, description: NodeDescription): void => {
  const node = tx.get('node', nodeId)
  if (node === undefined || isDeepStrictEqual(node.Description, description)) return
  tx.put('node', { ...node, Description: description })
}

/** Marks a node down that was not heard of. */
export const markDown = (tx: Tx, nodeId: string): void => {
  const node = tx.get('node', nodeId)
  if (node === undefined || node.Status.State === 'down') return
  tx.put('node', {
    ...node,
    Status: { ...node.Status, State: 'down', Message: 'heartbeat failure' },
  })
}

/**
 * A crash took the certificate of its last change of the role, which was taken back since: it has the one that it is to have, and the cluster
 * has noted the other. Only a renewal makes them agree; until then a manager would be no member.
 */
export const isMisnoted = (
  { Spec, Swarmctl }: Pick<Node, 'Spec' | 'Swarmctl'>,
  certified: 'worker' | 'manager' | undefined,
): boolean => certified === Spec.Role && Swarmctl.ObservedRole !== Spec.Role
