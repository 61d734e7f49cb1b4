import type { Tx } from '../store/tx.ts'

/** Removed nodes whose certificates are refused; the oldest go, which have long expired (90 days) in any cluster of up to 254 nodes. */
const REMOVED_NODES_MAX = 4096

/** Removes nodes and refuses their certificates from then on. */
export const removeNodes = (tx: Tx, ids: readonly string[]): void => {
  const cluster = tx.cluster()
  if (cluster !== undefined) {
    const RemovedNodes = [...cluster.Swarmctl.RemovedNodes, ...ids].slice(-REMOVED_NODES_MAX)
    tx.put('cluster', { ...cluster, Swarmctl: { ...cluster.Swarmctl, RemovedNodes } })
  }
  for (const id of ids) tx.remove('node', id)
}

/**
 * A manager went on alone with what it has: every other one is removed, as `node rm --force` would. If it still lives, it belongs
 * to another history and must not be believed.
 */
export const forgetOtherManagers = (tx: Tx, self: { nodeId: string; addr: string }): void => {
  const others = tx
    .list('node')
    .filter((node) => node.Spec.Role === 'manager' || node.Swarmctl.ObservedRole === 'manager')
    .map((node) => node.ID)
    .filter((id) => id !== self.nodeId)
  if (others.length > 0) removeNodes(tx, others)
  const node = tx.get('node', self.nodeId)
  if (node === undefined) return
  tx.put('node', {
    ...node,
    Spec: { ...node.Spec, Role: 'manager' },
    Swarmctl: { ...node.Swarmctl, ObservedRole: 'manager', Addr: self.addr },
  })
}
