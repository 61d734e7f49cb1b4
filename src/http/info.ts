import { toSwarmctlError } from '../api/errors.ts'
import type { Node } from '../api/node.ts'
import type { Cluster } from '../api/swarm.ts'
import { advertisedApiVersion } from './api-version.ts'
import { engineJson } from './engine-proxy.ts'
import { isManager } from './membership.ts'
import type { NodeStatus, SwarmPort } from './ports.ts'
import { sendJson } from './reply.ts'
import type { Exchange } from './routes.ts'

/** The cluster object as the Engine API shows it: no key material, no bookkeeping. */
export const renderCluster = (cluster: Cluster, withTokens: boolean) => {
  const { Swarmctl: _internal, JoinTokens, ...shown } = cluster
  return withTokens ? { ...shown, JoinTokens } : shown
}

interface SwarmInfo {
  NodeID: string
  NodeAddr: string
  LocalNodeState: string
  ControlAvailable: boolean
  Error: string
  RemoteManagers: NodeStatus['remoteManagers'] | null
  Nodes?: number
  Managers?: number
  Cluster?: ReturnType<typeof renderCluster>
  Warnings?: string[]
}

/** The `Swarm` part of `/info`. `cluster` and `nodes` are known on managers only. */
export const renderSwarmInfo = (
  status: NodeStatus,
  cluster: Cluster | undefined,
  nodes: readonly Node[],
): SwarmInfo => ({
  NodeID: status.nodeId,
  NodeAddr: status.nodeAddr,
  LocalNodeState: status.localNodeState,
  ControlAvailable: isManager(status),
  Error: status.error,
  RemoteManagers: status.remoteManagers.length > 0 ? status.remoteManagers : null,
  ...(cluster && {
    Nodes: nodes.length,
    Managers: managerCount(nodes),
    Cluster: renderCluster(cluster, false),
    ...(managerCount(nodes) === 2 && { Warnings: [TWO_MANAGERS] }),
  }),
})

/** Those that decide: one that is to become a manager does not yet. */
const managerCount = (nodes: readonly Node[]): number =>
  nodes.filter((node) => node.ManagerStatus !== undefined).length

/** Docker's words. */
const TWO_MANAGERS = `WARNING: Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance.`

/** The `Swarm` header of `/_ping`, which decides what the docker CLI offers. */
export const swarmHeader = (status: NodeStatus): string =>
  status.localNodeState === 'active' ? `active/${status.role}` : status.localNodeState

/** A manager that has only just joined has no cluster object yet. */
const swarmInfo = async (port: SwarmPort) => {
  const status = port.status()
  if (!isManager(status)) return renderSwarmInfo(status, undefined, [])
  const control = port.control()
  const cluster = await control.getCluster({ stale: true }).catch(() => undefined)
  return renderSwarmInfo(status, cluster, await control.listNodes({}, { stale: true }))
}

/** `GET /info`: the Engine's with this node's membership. A swarm must not be out of sight because one Engine is down. */
export const info = async ({ engine, engineUrl, port, response }: Exchange): Promise<void> => {
  const local = (await engineJson(engine, engineUrl).catch((error) => ({
    Warnings: [toSwarmctlError(error).message],
  }))) as { Warnings?: string[] | null }
  const Swarm = await swarmInfo(port)
  const { Warnings = [] } = Swarm
  sendJson(response, 200, {
    ...local,
    // Where clients show them.
    ...(Warnings.length > 0 && { Warnings: [...(local.Warnings ?? []), ...Warnings] }),
    Swarm,
  })
}

/** What is read of the Engine's `/version`. */
interface EngineVersion {
  ApiVersion: string
  Components?: { Name: string; Details?: Record<string, string> }[]
}

/** `GET /version`: the Engine's with the API version that this surface answers, also where the docker CLI reads it. */
export const version = async ({ engine, response }: Exchange): Promise<void> => {
  const local = (await engineJson(engine, '/version')) as EngineVersion
  const ApiVersion = advertisedApiVersion(local.ApiVersion)
  const Components = local.Components?.map((component) =>
    component.Details?.ApiVersion === undefined
      ? component
      : { ...component, Details: { ...component.Details, ApiVersion } },
  )
  sendJson(response, 200, { ...local, ApiVersion, ...(Components && { Components }) })
}
