import { hostAddressOf, isSameHostAddress } from '../../api/host-port.ts'
import type { Node } from '../../api/node.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted, TASK_STATE_ORDER } from '../../api/task-state.ts'
import { type GenericAmounts, genericAmounts, takeGeneric } from './generic-resources.ts'
import type { FailureCounts } from './recent-failures.ts'

/** How many recent failures make a node the last choice (swarmkit). */
export const FAILURES_MAX = 5

/** A node as the scheduler sees it: what it has and what its tasks took. */
export interface NodeInfo {
  readonly node: Node
  /** Of tasks that hold resources: assigned and not ended. */
  reservedNanoCpus: number
  reservedMemoryBytes: number
  /** What no such task has of the generic resources. */
  readonly freeGeneric: GenericAmounts
  /** Addresses at which host-mode ports are in use, by port as `tcp/80`; an empty one is all. */
  readonly hostPorts: Map<string, string[]>
  /** Tasks that are wanted here. */
  taskCount: number
  /** The same by service id. */
  readonly serviceTaskCounts: Map<string, number>
  /** Recent failures by `failureKey`. */
  readonly failureCounts: ReadonlyMap<string, number>
}

/** Nodes with what their tasks hold. */
export const buildNodeInfos = (
  nodes: readonly Node[],
  tasks: readonly Task[],
  failures: FailureCounts,
): Map<string, NodeInfo> => {
  const infos = new Map(nodes.map((node) => [node.ID, emptyInfo(node, failures.get(node.ID))]))
  for (const task of tasks) {
    const info = infos.get(task.NodeID)
    if (info === undefined || isTerminal(task.Status.State)) continue
    if (TASK_STATE_ORDER[task.Status.State] >= TASK_STATE_ORDER.assigned) addTask(info, task)
  }
  return infos
}

/** A node of which nothing is taken. */
export const emptyInfo = (
  node: Node,
  failureCounts: NodeInfo['failureCounts'] = new Map(),
): NodeInfo => ({
  node,
  reservedNanoCpus: 0,
  reservedMemoryBytes: 0,
  freeGeneric: genericAmounts(node.Description.Resources.GenericResources),
  hostPorts: new Map(),
  taskCount: 0,
  serviceTaskCounts: new Map(),
  failureCounts,
})

/** Whether the node still has the CPUs that the task reserves. */
export const hasCpus = ({ node, reservedNanoCpus }: NodeInfo, { Spec }: Task): boolean => {
  const wanted = Spec.Resources?.Reservations?.NanoCPUs
  return !wanted || reservedNanoCpus + wanted <= node.Description.Resources.NanoCPUs
}

/** Whether the node still has the memory that the task reserves. */
export const hasMemory = ({ node, reservedMemoryBytes }: NodeInfo, { Spec }: Task): boolean => {
  const wanted = Spec.Resources?.Reservations?.MemoryBytes
  return !wanted || reservedMemoryBytes + wanted <= node.Description.Resources.MemoryBytes
}

/** Adds what the task holds on the node. */
export const addTask = (info: NodeInfo, task: Task): void => {
  const reservations = task.Spec.Resources?.Reservations
  info.reservedNanoCpus += reservations?.NanoCPUs ?? 0
  info.reservedMemoryBytes += reservations?.MemoryBytes ?? 0
  takeGeneric(info.freeGeneric, task.GenericResources)
  for (const port of hostPortsOf(task)) takeHostPort(info, port)
  if (!isWanted(task.DesiredState)) return
  info.taskCount++
  info.serviceTaskCounts.set(task.ServiceID, serviceTaskCount(info, task.ServiceID) + 1)
}

export const serviceTaskCount = (info: NodeInfo, serviceId: string): number =>
  info.serviceTaskCounts.get(serviceId) ?? 0

/** A new version of a service is not blamed for what the old one did. */
export const failureKey = (task: Task): string => `${task.ServiceID}/${task.Swarmctl.SpecVersion}`

/** Whether the task ended in a way that its node may be to blame for. */
export const isFailure = ({ Status }: Task): boolean =>
  Status.State === 'failed' || Status.State === 'rejected'

/** Ports that the task binds on its node itself. */
export const hostPortsOf = (task: Task): PortConfig[] =>
  (task.Swarmctl.Endpoint.Ports ?? []).filter(
    (port) => port.PublishMode === 'host' && (port.PublishedPort ?? 0) !== 0,
  )

const portKey = (port: PortConfig): string => `${port.Protocol}/${port.PublishedPort}`

const takeHostPort = ({ hostPorts }: NodeInfo, port: PortConfig): void => {
  const addresses = hostPorts.get(portKey(port))
  if (addresses === undefined) hostPorts.set(portKey(port), [hostAddressOf(port)])
  else addresses.push(hostAddressOf(port))
}

export const isHostPortTaken = ({ hostPorts }: NodeInfo, port: PortConfig): boolean =>
  hostPorts
    .get(portKey(port))
    ?.some((address) => isSameHostAddress(address, hostAddressOf(port))) ?? false

/** As a reason why a task waits names it. */
export const hostPortText = (port: PortConfig): string => {
  const address = hostAddressOf(port)
  return address === '' ? portKey(port) : `${portKey(port)} at ${address}`
}
