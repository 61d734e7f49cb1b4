import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import type { ClusterUsage, NodeUsage, TaskUsage } from '../../api/usage.ts'

/** What a task, a service or a node uses. */
export interface Use {
  id: string
  name: string
  node: string
  nodeId: string
  service: string
  serviceId: string
  /** CPUs: 1 is one of them fully used. Undefined: there was nothing to compare with. */
  cpus: number | undefined
  memory: number
  memoryLimit: number
  /** Bytes per second. */
  received: number
  sent: number
  read: number
  written: number
  pids: number
  /** Of a service or a node. */
  tasks: number
  /** Of a node. */
  cpuCount: number
  error: string
}

const NS_PER_MS = 1e6
const MS_PER_S = 1000

const byTask = (usage: ClusterUsage): Map<string, { task: TaskUsage; node: NodeUsage }> =>
  new Map(usage.Nodes.flatMap((node) => node.Tasks.map((task) => [task.TaskID, { task, node }])))

/** Per millisecond. A counter that went back is another container's: there is no rate then. */
const rate = (before: number, after: number, ms: number): number | undefined =>
  ms > 0 && after >= before ? (after - before) / ms : undefined

const bytesRate = (before: number, after: number, ms: number): number =>
  (rate(before, after, ms) ?? 0) * MS_PER_S

/** Each task of the second look, with rates against the first. */
export const taskUses = (
  before: ClusterUsage,
  after: ClusterUsage,
  tasks: readonly Task[],
  nodes: readonly Node[],
): Use[] => {
  const earlier = byTask(before)
  const known = new Map(tasks.map((task) => [task.ID, task]))
  const hosts = new Map(nodes.map((node) => [node.ID, node.Description.Hostname]))
  return [...byTask(after)].map(([id, { task, node }]): Use => {
    const then = earlier.get(id)
    const ms = then ? node.AtMs - then.node.AtMs : 0
    const cpuRate = then && rate(then.task.CPUTotal, task.CPUTotal, ms)
    const object = known.get(id)
    const host = hosts.get(node.NodeID) ?? node.NodeID
    const service = object?.Swarmctl.ServiceName ?? ''
    const of = (field: 'NetworkReceived' | 'NetworkSent' | 'DiskRead' | 'DiskWritten') =>
      then ? bytesRate(then.task[field], task[field], ms) : 0
    return {
      id,
      name: object ? `${service}.${object.Slot ?? host}` : id,
      node: host,
      nodeId: node.NodeID,
      service,
      serviceId: object?.ServiceID ?? '',
      cpus: cpuRate === undefined ? undefined : cpuRate / NS_PER_MS,
      memory: task.Memory,
      memoryLimit: task.MemoryLimit,
      received: of('NetworkReceived'),
      sent: of('NetworkSent'),
      read: of('DiskRead'),
      written: of('DiskWritten'),
      pids: task.PIDs,
      tasks: 1,
      cpuCount: node.CPUs,
      error: '',
    }
  })
}

const SUMMED = ['memory', 'memoryLimit', 'received', 'sent', 'read', 'written', 'pids'] as const

const total = (uses: readonly Use[]) => ({
  ...(Object.fromEntries(
    SUMMED.map((field) => [field, uses.reduce((sum, use) => sum + use[field], 0)]),
  ) as Pick<Use, (typeof SUMMED)[number]>),
  cpus: uses.some(({ cpus }) => cpus !== undefined)
    ? uses.reduce((sum, { cpus = 0 }) => sum + cpus, 0)
    : undefined,
  tasks: uses.length,
})

/** The tasks of each service together. */
export const serviceUses = (uses: readonly Use[]): Use[] =>
  [...Map.groupBy(uses, ({ service }) => service)].map(([service, own]) => ({
    ...total(own),
    id: service,
    name: service,
    node: '',
    nodeId: '',
    service,
    serviceId: own[0]?.serviceId ?? '',
    cpuCount: 0,
    error: '',
  }))

/** Each node as a machine: also what is no task's. Traffic and processes are its tasks'. */
export const nodeUses = (
  before: ClusterUsage,
  after: ClusterUsage,
  uses: readonly Use[],
  nodes: readonly Node[],
): Use[] => {
  const earlier = new Map(before.Nodes.map((node) => [node.NodeID, node]))
  const now = new Map(after.Nodes.map((node) => [node.NodeID, node]))
  return nodes.map((node): Use => {
    const name = node.Description.Hostname
    const own = total(uses.filter((use) => use.node === name))
    const usage = now.get(node.ID)
    const then = earlier.get(node.ID)
    const cpuRate = usage && then && rate(then.CPUTotal, usage.CPUTotal, usage.AtMs - then.AtMs)
    return {
      ...own,
      id: node.ID,
      name,
      node: name,
      nodeId: node.ID,
      service: '',
      serviceId: '',
      cpus: cpuRate === undefined ? undefined : cpuRate / NS_PER_MS,
      memory: usage?.Memory ?? 0,
      memoryLimit: usage?.MemoryTotal ?? 0,
      cpuCount: usage?.CPUs ?? 0,
      error: usage ? usage.Error : `is ${node.Status.State}, and not connected`,
    }
  })
}

const BY = {
  cpu: (use: Use) => use.cpus ?? 0,
  memory: (use: Use) => use.memory,
  network: (use: Use) => use.received + use.sent,
  name: () => 0,
} as const

/** What lists may be sorted by. */
export type SortKey = keyof typeof BY

export const SORT_KEYS = Object.keys(BY) as SortKey[]

/** Most first, then by name. */
export const sorted = (uses: readonly Use[], key: SortKey): Use[] =>
  [...uses].sort(
    (a, b) => BY[key](b) - BY[key](a) || a.name.localeCompare(b.name, 'en', { numeric: true }),
  )
