import type { NodeStatus } from '../http/ports.ts'
import { CLUSTER_PORT_DEFAULT } from '../rpc/address.ts'
import { splitHostPort } from './addresses.ts'
import type { Member } from './member.ts'

/** What this node says of itself. A manager that can't vote for now, or was removed, is in error whatever else it does. */
export const nodeStatus = (
  state: NodeStatus['localNodeState'],
  member: Pick<Member, 'record' | 'damage' | 'role'> | undefined,
  error: string,
): NodeStatus => {
  const record = member?.record
  const damage = member?.damage ?? ''
  return {
    localNodeState: damage === '' ? state : 'error',
    nodeId: record?.nodeId ?? '',
    nodeAddr: record ? splitHostPort(record.advertiseAddr, CLUSTER_PORT_DEFAULT).host : '',
    role: member?.role ?? 'worker',
    error: damage || error,
    remoteManagers: (record?.managers ?? []).map(({ nodeId, addr }) => ({
      NodeID: nodeId,
      Addr: addr,
    })),
  }
}
