import type { NodeUsage, TaskUsage } from '../api/usage.ts'

/** What `/proc` of the host says. */
export interface HostFiles {
  /** `/proc/stat` */
  stat: string
  /** `/proc/meminfo` */
  memory: string
  /** `/proc/loadavg` */
  load: string
}

/** Linux counts CPU time in hundredths of a second (USER_HZ, fixed for user space). */
const NS_PER_TICK = 10_000_000
const BYTES_PER_KIB = 1024
/** Of `/proc/stat`'s columns: user, nice, system, idle, iowait, irq, softirq, steal; idle and iowait are no use. */
const IDLE_COLUMNS = new Set([3, 4])
const BUSY_COLUMNS_END = 8

const busyNs = (stat: string): number => {
  const [, ...columns] = (/^cpu .*$/m.exec(stat)?.[0] ?? '').split(/\s+/)
  return columns
    .slice(0, BUSY_COLUMNS_END)
    .reduce((sum, ticks, at) => (IDLE_COLUMNS.has(at) ? sum : sum + Number(ticks) * NS_PER_TICK), 0)
}

const kibOf = (memory: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1] ?? 0) * BYTES_PER_KIB

/** A host's part of its usage. Pure. */
export const hostUsage = (
  files: HostFiles,
): Pick<NodeUsage, 'CPUs' | 'CPUTotal' | 'Memory' | 'MemoryTotal' | 'Load'> => {
  const total = kibOf(files.memory, 'MemTotal')
  const [one = 0, five = 0, fifteen = 0] = files.load.split(' ').map(Number)
  return {
    CPUs: files.stat.match(/^cpu\d+ /gm)?.length ?? 1,
    CPUTotal: busyNs(files.stat),
    MemoryTotal: total,
    Memory: total - kibOf(files.memory, 'MemAvailable'),
    Load: [one, five, fifteen],
  }
}

/** The Engine's `GET /containers/{id}/stats`, as far as it is used. */
export interface ContainerStats {
  cpu_stats?: { cpu_usage?: { total_usage?: number } }
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> }
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null }
  pids_stats?: { current?: number }
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0)

const diskBytes = (stats: ContainerStats, operation: string): number =>
  sum(
    (stats.blkio_stats?.io_service_bytes_recursive ?? [])
      .filter(({ op }) => op.toLowerCase() === operation)
      .map(({ value }) => value),
  )

/** Docker's number: without the page cache that the kernel takes back first (cgroup v2, then v1). */
const usedMemory = ({ usage = 0, stats = {} }: NonNullable<ContainerStats['memory_stats']>) => {
  const inactive = stats.total_inactive_file ?? stats.inactive_file ?? 0
  return inactive < usage ? usage - inactive : usage
}

/** A container's part of its node's usage. Pure. */
export const taskUsage = (taskId: string, stats: ContainerStats): TaskUsage => {
  const networks = Object.values(stats.networks ?? {})
  return {
    TaskID: taskId,
    CPUTotal: stats.cpu_stats?.cpu_usage?.total_usage ?? 0,
    Memory: usedMemory(stats.memory_stats ?? {}),
    MemoryLimit: stats.memory_stats?.limit ?? 0,
    NetworkReceived: sum(networks.map(({ rx_bytes = 0 }) => rx_bytes)),
    NetworkSent: sum(networks.map(({ tx_bytes = 0 }) => tx_bytes)),
    DiskRead: diskBytes(stats, 'read'),
    DiskWritten: diskBytes(stats, 'write'),
    PIDs: stats.pids_stats?.current ?? 0,
  }
}
