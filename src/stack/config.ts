import type { FileVersion } from './schema/schema.ts'
import type { ValueMap } from './value.ts'

/**
 * A loaded stack file: merged, interpolated, validated, in one form each where the format allows several. Names are the file's
 * own, so that `stack config` prints this and nothing else. Durations (`…Ns` in comments) are nanoseconds, memory is bytes.
 * What the file does not say is absent.
 */
export interface StackConfig {
  version: FileVersion
  /** The files it comes from, as the user named them; for messages. */
  files: string[]
  services: Record<string, ServiceConfig>
  networks: Record<string, NetworkConfig>
  volumes: Record<string, VolumeConfig>
  secrets: Record<string, FileObjectConfig>
  configs: Record<string, FileObjectConfig>
  /** Top-level `x-…` keys, as they stand. */
  extensions: ValueMap
}

/** `services.*`. */
export interface ServiceConfig {
  cap_add?: string[]
  cap_drop?: string[]
  command?: string[]
  configs?: FileReference[]
  credential_spec?: { config?: string; file?: string; registry?: string }
  deploy?: DeployConfig
  dns?: string[]
  dns_search?: string[]
  entrypoint?: string[]
  env_file?: string[]
  /** null: the variable is named but has no value. */
  environment?: Record<string, string | null>
  /** `host:address`. */
  extra_hosts?: string[]
  healthcheck?: HealthcheckConfig
  hostname?: string
  image?: string
  init?: boolean
  isolation?: string
  labels?: Record<string, string>
  logging?: LoggingConfig
  networks?: Record<string, NetworkAttachment>
  oom_score_adj?: number
  ports?: ServicePort[]
  read_only?: boolean
  restart?: string
  secrets?: FileReference[]
  stdin_open?: boolean
  stop_grace_period?: number
  stop_signal?: string
  sysctls?: Record<string, string>
  tty?: boolean
  ulimits?: Record<string, { soft: number; hard: number }>
  user?: string
  volumes?: ServiceVolume[]
  working_dir?: string
  /** Keys that a cluster does not use (`build`, `links` …) and `x-…` keys, as they stand; only `stack config` shows them. */
  unused?: ValueMap
  /** `x-swarmctl` as the API's `Swarmctl`: PascalCase, durations in nanoseconds. */
  swarmctl?: Record<string, unknown>
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
    reservations?: { cpus?: string; memory?: number; generic_resources?: GenericResource[] }
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
}

/** One mount. */
export interface ServiceVolume {
  type?: string
  source?: string
  target?: string
  read_only?: boolean
  consistency?: string
  bind?: { propagation?: string }
  volume?: { nocopy?: boolean; subpath?: string }
  tmpfs?: { size?: number }
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

/** `networks.*`. */
export interface NetworkConfig {
  name?: string
  driver?: string
  driver_opts?: Record<string, string>
  ipam?: { driver?: string; config?: { subnet?: string }[] }
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
  external?: boolean
  labels?: Record<string, string>
  driver?: string
  driver_opts?: Record<string, string>
  template_driver?: string
  unused?: ValueMap
}
