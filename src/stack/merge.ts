import type {
  DeployConfig,
  HealthcheckConfig,
  LoggingConfig,
  NetworkAttachment,
  ServiceConfig,
  ServicePort,
  StackConfig,
} from './config.ts'
import { present } from './present.ts'
import type { Path } from './value.ts'

/**
 * One configuration from several files, the later over the earlier. Networks, volumes, secrets and configs are replaced whole; services
 * are merged key by key: mappings by key, lists appended, ports, volumes, secrets and configs replaced where they have the same
 * published port, target or source, commands and health tests replaced.
 */
export const mergeConfigs = (configs: readonly StackConfig[]): StackConfig => {
  const [first, ...overrides] = configs
  if (first === undefined) throw new TypeError('at least one configuration')
  return overrides.reduce(mergeTwo, first)
}

const mergeTwo = (earlier: StackConfig, override: StackConfig): StackConfig =>
  layOver(withoutPaths(earlier, override.resets), override)

/** A copy of `value` without what stands at `paths`; a typed configuration has the file's own keys. */
export const withoutPaths = <T extends object>(value: T, paths: readonly Path[]): T =>
  paths.reduce<T>((rest, path) => withoutPath(rest, path), value)

const withoutPath = <T extends object>(value: T, [key, ...rest]: Path): T => {
  if (key === undefined || !Object.hasOwn(value, key)) return value
  const inner = (value as Record<string, unknown>)[key]
  if (rest.length === 0) {
    const { [key as keyof T]: _, ...others } = value
    return others as T
  }
  if (typeof inner !== 'object' || inner === null) return value
  const copy = Array.isArray(value) ? [...value] : { ...value }
  return Object.assign(copy, { [key]: withoutPath(inner, rest) }) as T
}

const layOver = (base: StackConfig, override: StackConfig): StackConfig => ({
  resets: base.resets,
  locations: base.locations.over(override.locations),
  ...(override.name !== undefined || base.name !== undefined
    ? { name: override.name ?? (base.name as string) }
    : {}),
  services: mergeByKey(base.services, override.services, mergeService),
  networks: { ...base.networks, ...override.networks },
  volumes: { ...base.volumes, ...override.volumes },
  secrets: { ...base.secrets, ...override.secrets },
  configs: { ...base.configs, ...override.configs },
  extensions: { ...base.extensions, ...override.extensions },
})

const mergeByKey = <T>(
  base: Readonly<Record<string, T>>,
  override: Readonly<Record<string, T>>,
  merge: (base: T, override: T) => T,
): Record<string, T> => {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(override)) {
    const before = merged.get(key)
    merged.set(key, before === undefined ? value : merge(before, value))
  }
  return Object.fromEntries(merged)
}

/** One service over another: a later file's over an earlier one's, or one over that which it extends. */
export const mergeService = (base: ServiceConfig, override: ServiceConfig): ServiceConfig =>
  present<ServiceConfig>({
    ...base,
    ...override,
    ...mergeEngine(base, override),
    cap_add: append(base.cap_add, override.cap_add),
    cap_drop: append(base.cap_drop, override.cap_drop),
    command: lastWithItems(base.command, override.command),
    configs: replaceBy((file) => file.source, base.configs, override.configs),
    credential_spec: both(base.credential_spec, override.credential_spec, spread),
    depends_on: both(base.depends_on, override.depends_on, spread),
    deploy: both(base.deploy, override.deploy, mergeDeploy),
    dns: append(base.dns, override.dns),
    dns_opt: append(base.dns_opt, override.dns_opt),
    dns_search: append(base.dns_search, override.dns_search),
    entrypoint: lastWithItems(base.entrypoint, override.entrypoint),
    env_file: append(base.env_file, override.env_file),
    environment: both(base.environment, override.environment, mergeEnvironment),
    extra_hosts: append(base.extra_hosts, override.extra_hosts),
    group_add: append(base.group_add, override.group_add),
    healthcheck: both(base.healthcheck, override.healthcheck, mergeHealthcheck),
    label_file: append(base.label_file, override.label_file),
    labels: both(base.labels, override.labels, spread),
    logging: both(base.logging, override.logging, mergeLogging),
    networks: both(base.networks, override.networks, mergeNetworks),
    profiles: append(base.profiles, override.profiles),
    ports: replaceBy(portKey, base.ports, override.ports),
    secrets: replaceBy((file) => file.source, base.secrets, override.secrets),
    swarmctl: both(base.swarmctl, override.swarmctl, spread),
    sysctls: both(base.sysctls, override.sysctls, spread),
    unused: both(base.unused, override.unused, spread),
    volumes: replaceBy((volume) => volume.target ?? '', base.volumes, override.volumes),
  })

/** Ports that are published at any number have none to be replaced by: those are told apart by their target. */
const portKey = ({ published, target = 0 }: ServicePort): number => published || -target

/** What of the Engine's keys is a mapping or a list. */
const mergeEngine = (base: ServiceConfig, override: ServiceConfig) => ({
  annotations: both(base.annotations, override.annotations, spread),
  blkio_config: both(base.blkio_config, override.blkio_config, spread),
  device_cgroup_rules: append(base.device_cgroup_rules, override.device_cgroup_rules),
  devices: replaceBy((device) => device.target, base.devices, override.devices),
  gpus: append(base.gpus, override.gpus),
  security_opt: append(base.security_opt, override.security_opt),
  storage_opt: both(base.storage_opt, override.storage_opt, spread),
  tmpfs: append(base.tmpfs, override.tmpfs),
  ulimits: both(base.ulimits, override.ulimits, spread),
})

const mergeDeploy = (base: DeployConfig, override: DeployConfig): DeployConfig =>
  present<DeployConfig>({
    ...base,
    ...override,
    labels: both(base.labels, override.labels, spread),
    update_config: both(base.update_config, override.update_config, spread),
    rollback_config: both(base.rollback_config, override.rollback_config, spread),
    restart_policy: both(base.restart_policy, override.restart_policy, spread),
    resources: both(base.resources, override.resources, (a, b) =>
      present<NonNullable<DeployConfig['resources']>>({
        limits: both(a.limits, b.limits, spread),
        reservations: both(a.reservations, b.reservations, mergeReservations),
      }),
    ),
    placement: both(base.placement, override.placement, (a, b) =>
      present<NonNullable<DeployConfig['placement']>>({
        constraints: append(a.constraints, b.constraints),
        preferences: append(a.preferences, b.preferences),
        max_replicas_per_node: b.max_replicas_per_node ?? a.max_replicas_per_node,
      }),
    ),
  })

type Reservations = NonNullable<NonNullable<DeployConfig['resources']>['reservations']>

const mergeReservations = (base: Reservations, override: Reservations): Reservations =>
  present<Reservations>({
    ...base,
    ...override,
    devices: append(base.devices, override.devices),
    generic_resources: both(base.generic_resources, override.generic_resources, (a, b) => {
      const kinds = new Set(b.map((one) => one.discrete_resource_spec?.kind))
      return [...a.filter((one) => !kinds.has(one.discrete_resource_spec?.kind)), ...b]
    }),
  })

const mergeHealthcheck = (
  base: HealthcheckConfig,
  override: HealthcheckConfig,
): HealthcheckConfig =>
  present<HealthcheckConfig>({
    ...base,
    ...override,
    test: lastWithItems(base.test, override.test),
  })

/** Options of one driver mean nothing to another. */
const mergeLogging = (base: LoggingConfig, override: LoggingConfig): LoggingConfig => {
  const differ =
    base.driver !== undefined && override.driver !== undefined && base.driver !== override.driver
  if (differ) return override
  return present<LoggingConfig>({
    driver: override.driver ?? base.driver,
    options: both(base.options, override.options, spread),
  })
}

/** A variable that an override only names keeps its value. */
const mergeEnvironment = (
  base: Record<string, string | null>,
  override: Record<string, string | null>,
): Record<string, string | null> => mergeByKey(base, override, (before, value) => value ?? before)

const mergeNetworks = (
  base: Record<string, NetworkAttachment>,
  override: Record<string, NetworkAttachment>,
): Record<string, NetworkAttachment> =>
  mergeByKey(base, override, (before, value) => ({ ...before, ...value }))

const both = <T>(
  base: T | undefined,
  override: T | undefined,
  merge: (base: T, override: T) => T,
): T | undefined =>
  base === undefined || override === undefined ? (override ?? base) : merge(base, override)

const spread = <T extends object>(base: T, override: T): T => ({ ...base, ...override })

const append = <T>(base: T[] | undefined, override: T[] | undefined): T[] | undefined =>
  both(base, override, (a, b) => [...a, ...b])

const lastWithItems = (
  base: string[] | undefined,
  override: string[] | undefined,
): string[] | undefined => (override === undefined || override.length === 0 ? base : override)

/** Items of both lists, an override's item in place of those with its key, in the order of keys. */
const replaceBy = <T>(
  keyOf: (item: T) => string | number,
  base: T[] | undefined,
  override: T[] | undefined,
): T[] | undefined =>
  both(base, override, (a, b) => {
    const replaced = new Set(b.map(keyOf))
    const merged = [...a.filter((item) => !replaced.has(keyOf(item))), ...b]
    return merged.sort((x, y) => (keyOf(x) < keyOf(y) ? -1 : keyOf(x) > keyOf(y) ? 1 : 0))
  })
