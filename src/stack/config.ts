import type { DeviceRequestConfig, EngineConfig } from './engine-config.ts'
import type { Locations } from './location.ts'
import type { Path, ValueMap } from './value.ts'

/**
 * A loaded stack file: merged, interpolated, validated, in one form each where the format allows several. Names are the file's
 * own, so that `stack config` prints this and nothing else. Durations (`…Ns` in comments) are nanoseconds, memory is bytes.
 * What the file does not say is absent.
 */
export interface StackConfig {
  /** Where its keys stand, for messages. */
  locations: Locations
  /** Where it takes values of what it is laid over away. */
  resets: readonly Path[]
  /** What the files call the stack. */
  name?: string
  services: Record<string, ServiceConfig>
  networks: Record<string, NetworkConfig>
  volumes: Record<string, VolumeConfig>
  secrets: Record<string, FileObjectConfig>
  configs: Record<string, FileObjectConfig>
  /** Top-level `x-…` keys, as they stand. */
  extensions: ValueMap
}

/** `services.*`. */
export interface ServiceConfig extends EngineConfig {
  cap_add?: string[]
  cap_drop?: string[]
  command?: string[]
  configs?: FileReference[]
  /** An alias on the service's networks. */
  container_name?: string
  credential_spec?: { config?: string; file?: string; registry?: string }
  depends_on?: Record<string, DependencyConfig>
  deploy?: DeployConfig
  dns?: string[]
  dns_opt?: string[]
  dns_search?: string[]
  entrypoint?: string[]
  env_file?: EnvFileConfig[]
  /** null: the variable is named but has no value. */
  environment?: Record<string, string | null>
  /** The service that this one is laid over; gone once a file is loaded. `file` is as the stack file has it. */
  extends?: { service: string; file?: string }
  /** `host:address`. */
  extra_hosts?: string[]
  group_add?: string[]
  healthcheck?: HealthcheckConfig
  hostname?: string
  image?: string
  init?: boolean
  isolation?: string
  label_file?: string[]
  labels?: Record<string, string>
  logging?: LoggingConfig
  networks?: Record<string, NetworkAttachment>
  oom_score_adj?: number
  /** `os/architecture`. */
  platform?: string
  ports?: ServicePort[]
  /** The service exists only while one of these is active. */
  profiles?: string[]
  read_only?: boolean
  restart?: string
  scale?: number
  secrets?: FileReference[]
  stdin_open?: boolean
  stop_grace_period?: number
  stop_signal?: string
  sysctls?: Record<string, string>
  tty?: boolean
  user?: string
  volumes?: ServiceVolume[]
  working_dir?: string
  /** Keys that a cluster does not use (`build`, `links` …) and `x-…` keys, as they stand; only `stack config` shows them. */
  unused?: ValueMap
  /** `x-swarmctl` as the API's `Swarmctl`: PascalCase, durations in nanoseconds. */
  swarmctl?: Record<string, unknown>
}

/** `services.*.depends_on.*`. */
export interface DependencyConfig {
  condition: 'service_started' | 'service_healthy' | 'service_completed_successfully'
  restart?: boolean
  required?: boolean
}

/** One of `services.*.env_file`. */
export interface EnvFileConfig {
  /** Absolute. */
  path: string
  /** As the file has it, for messages. */
  written: string
  /** False: it need not exist. */
  required: boolean
  /** `raw` as the docker CLI reads it, `compose` with quotes, comments and variables. */
  format: 'raw' | 'compose'
}

/** `services.*.deploy`. */
export interface DeployConfig {
  mode?: string
  replicas?: number
  labels?: Record<string, string>
  update_config?: UpdateConfig
  rollback_config?: UpdateConfig
  resources?: {
    limits?: { cpus?: string; memory?: number; pids?: number }
    reservations?: {
      cpus?: string
      memory?: number
      generic_resources?: GenericResource[]
      devices?: DeviceRequestConfig[]
    }
  }
  restart_policy?: RestartPolicyConfig
  placement?: PlacementConfig
  endpoint_mode?: string
}

/** `update_config` and `rollback_config`. */
export interface UpdateConfig {
  parallelism?: number
  delay?: number
  failure_action?: string
  monitor?: number
  max_failure_ratio?: number
  order?: string
}

/** `deploy.restart_policy`. */
export interface RestartPolicyConfig {
  condition?: string
  delay?: number
  max_attempts?: number
  window?: number
}

/** `deploy.placement`. */
export interface PlacementConfig {
  constraints?: string[]
  preferences?: { spread?: string }[]
  max_replicas_per_node?: number
}

/** A countable resource that nodes advertise. */
export interface GenericResource {
  discrete_resource_spec?: { kind: string; value: number }
}

/** `services.*.healthcheck`. */
export interface HealthcheckConfig {
  /** `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`. */
  test?: string[]
  timeout?: number
  interval?: number
  retries?: number
  start_period?: number
  start_interval?: number
  disable?: boolean
}

/** `services.*.logging`. */
export interface LoggingConfig {
  driver?: string
  options?: Record<string, string>
}

/** `services.*.networks.*`. */
export interface NetworkAttachment {
  aliases?: string[]
  driver_opts?: Record<string, string>
  ipv4_address?: string
  ipv6_address?: string
}

/** One published port. */
export interface ServicePort {
  mode?: string
  target?: number
  published?: number
  protocol?: string
  name?: string
  /** The address that it is published at; absent: every one. */
  host_ip?: string
}

/** One mount. */
export interface ServiceVolume {
  type?: string
  source?: string
  target?: string
  read_only?: boolean
  consistency?: string
  bind?: {
    propagation?: string
    create_host_path?: boolean
    recursive?: string
  }
  volume?: { nocopy?: boolean; subpath?: string; labels?: Record<string, string> }
  tmpfs?: { size?: number; mode?: number }
  image?: { subpath?: string }
}

/** A service's use of a secret or config. */
export interface FileReference {
  source: string
  target?: string
  uid?: string
  gid?: string
  /** Unix permission bits. */
  mode?: number
}

/** One of `networks.*.ipam.config`. */
export interface IpamPool {
  subnet?: string
  ip_range?: string
  gateway?: string
  aux_addresses?: Record<string, string>
}

/** `networks.*`. */
export interface NetworkConfig {
  name?: string
  driver?: string
  driver_opts?: Record<string, string>
  enable_ipv4?: boolean
  enable_ipv6?: boolean
  ipam?: { driver?: string; config?: IpamPool[]; options?: Record<string, string> }
  external?: boolean
  internal?: boolean
  attachable?: boolean
  labels?: Record<string, string>
  unused?: ValueMap
}

/** `volumes.*`. */
export interface VolumeConfig {
  name?: string
  driver?: string
  driver_opts?: Record<string, string>
  external?: boolean
  labels?: Record<string, string>
  unused?: ValueMap
}

/** `secrets.*` and `configs.*`. */
export interface FileObjectConfig {
  name?: string
  /** Absolute. */
  file?: string
  /** A variable that has the data. */
  environment?: string
  /** What that variable had when the file was read; not printed. */
  data?: string
  /** The data itself. */
  content?: string
  external?: boolean
  labels?: Record<string, string>
  driver?: string
  driver_opts?: Record<string, string>
  template_driver?: string
  unused?: ValueMap
}
