import { Document, visit } from 'yaml'
import type {
  DeployConfig,
  FileObjectConfig,
  HealthcheckConfig,
  NetworkAttachment,
  ServiceConfig,
  StackConfig,
  UpdateConfig,
} from './config.ts'
import { durationText } from './parse/duration.ts'
import { sortedEntries } from './present.ts'
import { plainScalar } from './yaml/plain-scalar.ts'

/** How to print a configuration. */
export interface FormatConfigOptions {
  /** Whether variables were replaced: then a `$` that is left is written `$$`, so that the output loads as the same configuration. */
  interpolated?: boolean
}

/** The newest that `docker stack` knows. */
const FORMAT_VERSION = '3.13'

/**
 * A loaded configuration as one stack file (`stack config`): merged, every short form in its long form, keys sorted. Env files are
 * in `environment` already and are left out.
 */
export const formatConfig = (
  config: StackConfig,
  { interpolated = true }: FormatConfigOptions = {},
): string => {
  const sections = {
    version: FORMAT_VERSION,
    ...(config.name !== undefined && { name: config.name }),
    services: mapValues(config.services, printableService),
    networks: mapValues(config.networks, withUnused),
    volumes: mapValues(config.volumes, withUnused),
    secrets: mapValues(config.secrets, printableObject),
    configs: mapValues(config.configs, printableObject),
    ...config.extensions,
  }
  const filled = Object.entries(sections).filter(
    ([name, section]) => name === 'services' || !isEmpty(section),
  )
  const printable = Object.fromEntries(filled)
  const document = new Document(interpolated ? escapeDollars(printable) : printable, {
    aliasDuplicateObjects: false,
    // What is a string stays one for readers of YAML 1.1 as well: `yes`, `010`, `1:30`.
    version: '1.1',
  })
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === 'string' && needsQuotes(node.value)) node.type = 'QUOTE_DOUBLE'
    },
  })
  return document.toString({ lineWidth: 0, directives: false })
}

const needsQuotes = (text: string): boolean => text === '<<' || plainScalar(text) !== text

const mapValues = <T>(map: Readonly<Record<string, T>>, print: (value: T) => unknown) =>
  Object.fromEntries(sortedEntries(map).map(([key, value]) => [key, print(value)]))

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

const sorted = (map: object): Record<string, unknown> =>
  Object.fromEntries(sortedEntries(map as Record<string, unknown>))

const withUnused = ({ unused, ...own }: { unused?: object }) => sorted({ ...own, ...unused })

/** A variable's value stays where it is. */
const printableObject = ({ data: _, ...object }: FileObjectConfig) => withUnused(object)

const printableService = (service: ServiceConfig): Record<string, unknown> => {
  const { swarmctl, env_file: _, label_file: __, cgroup, ...own } = service
  return withUnused({
    ...own,
    // The docker CLI has no other name for it, and swarmctl knows both.
    ...(cgroup !== undefined && { cgroupns_mode: cgroup }),
    ...(service.stop_grace_period !== undefined && {
      stop_grace_period: durationText(service.stop_grace_period),
    }),
    ...(service.healthcheck && { healthcheck: printableHealthcheck(service.healthcheck) }),
    ...(service.deploy && { deploy: printableDeploy(service.deploy) }),
    ...(service.networks && { networks: mapValues(service.networks, printableAttachment) }),
    ...(service.depends_on && { depends_on: printableDependencies(service.depends_on) }),
    // A number passes the docker CLI's schema and not its reader.
    ...(service.shm_size !== undefined && { shm_size: String(service.shm_size) }),
    ...(service.devices && { devices: service.devices.map(printableDevice) }),
    ...(swarmctl && { 'x-swarmctl': swarmctl }),
  })
}

/** A list where that says the same: the docker CLI knows nothing else. */
const printableDependencies = (dependencies: NonNullable<ServiceConfig['depends_on']>): unknown =>
  Object.values(dependencies).every(
    (one) => one.condition === 'service_started' && Object.keys(one).length === 1,
  )
    ? Object.keys(dependencies)
    : mapValues(dependencies, sorted)

/** The docker CLI knows only the short form, which has no way to write a colon. */
const printableDevice = (device: NonNullable<ServiceConfig['devices']>[number]): unknown => {
  const { source, target, permissions } = device
  if (`${source}${target}`.includes(':')) return sorted(device)
  return [source, target, ...(permissions === 'rwm' ? [] : [permissions])].join(':')
}

const printableAttachment = (attachment: NetworkAttachment): unknown =>
  isEmpty(attachment) ? null : sorted(attachment)

const printableHealthcheck = (check: HealthcheckConfig): unknown =>
  sorted(withDurations(check, ['interval', 'timeout', 'start_period', 'start_interval']))

const printableDeploy = (deploy: DeployConfig): unknown => {
  const { limits, reservations } = deploy.resources ?? {}
  const { update_config, rollback_config, restart_policy } = deploy
  return sorted({
    ...deploy,
    ...(update_config && { update_config: printableUpdate(update_config) }),
    ...(rollback_config && { rollback_config: printableUpdate(rollback_config) }),
    ...(restart_policy && {
      restart_policy: sorted(withDurations(restart_policy, ['delay', 'window'])),
    }),
    ...(deploy.resources && {
      resources: {
        ...(limits && { limits: printableAmounts(limits) }),
        ...(reservations && { reservations: printableAmounts(reservations) }),
      },
    }),
  })
}

const printableUpdate = (update: UpdateConfig): unknown =>
  sorted(withDurations(update, ['delay', 'monitor']))

const printableAmounts = (amounts: { memory?: number }): unknown =>
  sorted({
    ...amounts,
    ...(amounts.memory !== undefined && { memory: String(amounts.memory) }),
  })

const withDurations = <T extends object>(fields: T, keys: readonly (keyof T)[]): object => ({
  ...fields,
  ...Object.fromEntries(
    keys.flatMap((key) => {
      const value = fields[key]
      return typeof value === 'number' ? [[key, durationText(value)]] : []
    }),
  ),
})

const escapeDollars = (value: unknown): unknown => {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$')
  if (Array.isArray(value)) return value.map(escapeDollars)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escapeDollars(item)]))
}
