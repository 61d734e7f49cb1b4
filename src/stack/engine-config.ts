/** `gpus.*` and `deploy.resources.reservations.devices.*`. */
export interface DeviceRequestConfig {
  capabilities?: string[]
  /** -1: all. */
  count?: number
  device_ids?: string[]
  driver?: string
  options?: Record<string, string>
}

/** A rate per second of one device: bytes or operations. */
export interface DeviceRate {
  path: string
  rate: number
}

/** `blkio_config`. */
export interface BlkioConfig {
  weight?: number
  weight_device?: { path: string; weight: number }[]
  device_read_bps?: DeviceRate[]
  device_write_bps?: DeviceRate[]
  device_read_iops?: DeviceRate[]
  device_write_iops?: DeviceRate[]
}

/** Keys of a service that an Engine has. Sizes are bytes, CPU times microseconds. */
export interface EngineConfig {
  annotations?: Record<string, string>
  blkio_config?: BlkioConfig
  cgroup?: string
  cgroup_parent?: string
  cpu_count?: number
  cpu_percent?: number
  cpu_period?: number
  cpu_quota?: number
  cpu_rt_period?: number
  cpu_rt_runtime?: number
  cpu_shares?: number
  cpus?: string
  cpuset?: string
  device_cgroup_rules?: string[]
  devices?: { source: string; target: string; permissions: string }[]
  domainname?: string
  gpus?: DeviceRequestConfig[]
  ipc?: string
  mem_limit?: number
  mem_reservation?: number
  mem_swappiness?: number
  /** Memory and swap together; -1: without limit. */
  memswap_limit?: number
  oom_kill_disable?: boolean
  pid?: string
  pids_limit?: number
  privileged?: boolean
  runtime?: string
  security_opt?: string[]
  shm_size?: number
  storage_opt?: Record<string, string>
  /** `path[:options]`. */
  tmpfs?: string[]
  ulimits?: Record<string, { soft: number; hard: number }>
  userns_mode?: string
  uts?: string
}
