/** Limits of a container as the kernel has them, on cgroup version 1 (also mixed with 2) and 2. */
import type { LabHost } from './host.ts'

/** `Infinity` where there is no limit. */
export interface CgroupLimits {
  readonly cpus: number
  readonly memoryBytes: number
  readonly pids: number
}

const limit = (text: string): number => {
  const value = text.trim()
  return value === 'max' || value === '-1' ? Number.POSITIVE_INFINITY : Number(value)
}

/** Reads those of a process, by its pid as the host sees it. */
export const readCgroup = async (host: LabHost, pid: number): Promise<CgroupLimits> => {
  const read = async (path: string): Promise<string> => (await host.exec('cat', [path])).stdout
  const groups = (await read(`/proc/${pid}/cgroup`)).trim().split('\n')
  const folderOf = (controller: string): string | undefined =>
    groups
      .map((line) => line.split(':') as [string, string, string])
      .filter(([, controllers]) => controllers.split(',').includes(controller))
      .map(([, , path]) => `/sys/fs/cgroup/${controller}${path}`)[0]
  const [cpu, memory, pids] = ['cpu', 'memory', 'pids'].map(folderOf)
  if (cpu && memory && pids) {
    const quota = limit(await read(`${cpu}/cpu.cfs_quota_us`))
    return {
      cpus: quota / Number(await read(`${cpu}/cpu.cfs_period_us`)),
      memoryBytes: limit(await read(`${memory}/memory.limit_in_bytes`)),
      pids: limit(await read(`${pids}/pids.max`)),
    }
  }
  const unified = groups.find((line) => line.startsWith('0::'))?.slice('0::'.length)
  const folder = `/sys/fs/cgroup${unified}`
  const [quota = 'max', period = '100000'] = (await read(`${folder}/cpu.max`)).trim().split(' ')
  return {
    cpus: limit(quota) / Number(period),
    memoryBytes: limit(await read(`${folder}/memory.max`)),
    pids: limit(await read(`${folder}/pids.max`)),
  }
}
