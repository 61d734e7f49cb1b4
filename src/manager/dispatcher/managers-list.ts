import type { ManagersList } from '../../api/assignment.ts'
import type { View } from '../store/view.ts'

/** The managers that agents can register at: the leader first, those known to be unreachable last. */
export const managersList = (view: View): ManagersList => {
  const rank = (status: { Leader?: boolean; Reachability: string }): number => {
    if (status.Leader === true) return 0
    return status.Reachability === 'unreachable' ? 2 : 1
  }
  const managers = view
    .list('node')
    .flatMap((node) =>
      node.ManagerStatus === undefined
        ? []
        : [
            {
              rank: rank(node.ManagerStatus),
              nodeId: node.ID,
              addr: node.ManagerStatus.Addr === '' ? node.Swarmctl.Addr : node.ManagerStatus.Addr,
            },
          ],
    )
    .filter(({ addr }) => addr !== '')
    .sort((a, b) => a.rank - b.rank || (a.nodeId < b.nodeId ? -1 : 1))
    .map(({ nodeId, addr }) => ({ nodeId, addr }))
  return { managers, asOf: view.index }
}
