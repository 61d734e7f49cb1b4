import type { Node } from '../api/node.ts'
import type { Cluster } from '../api/swarm.ts'
import type { NodeStatus } from './ports.ts'

/** The cluster object as the Engine API shows it: no key material, no bookkeeping. */
export const renderCluster = (cluster: Cluster, withTokens: boolean) => {
  const { Swarmctl: _internal, JoinTokens, ...shown } = cluster
  return withTokens ? { ...shown, JoinTokens } : shown
}

/** The `Swarm` part of `/info`. `cluster` and `nodes` are known on managers only. */
export const renderSwarmInfo = (
  status: NodeStatus,
  cluster: Cluster | undefined,
  nodes: readonly Node[],
) => ({
  NodeID: status.nodeId,
  NodeAddr: status.nodeAddr,
  LocalNodeState: status.localNodeState,
  ControlAvailable: status.localNodeState === 'active' && status.role === 'manager',
  Error: status.error,
  RemoteManagers: status.remoteManagers.length > 0 ? status.remoteManagers : null,
  ...(cluster && {
    Nodes: nodes.length,
    Managers: nodes.filter((node) => node.Spec.Role === 'manager').length,
    Cluster: renderCluster(cluster, false),
  }),
})

/** The `Swarm` header of `/_ping`, which decides what the docker CLI offers. */
export const swarmHeader = (status: NodeStatus): string =>
  status.localNodeState === 'active' ? `active/${status.role}` : status.localNodeState
