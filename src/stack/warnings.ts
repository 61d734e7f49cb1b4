import { entry, isMap, type ValueMap } from './value.ts'

/** Service keys that need one machine or a build, as the docker CLI lists them. */
export const UNSUPPORTED_KEYS: readonly string[] = [
  'build',
  'cgroup_parent',
  'cgroupns_mode',
  'devices',
  'domainname',
  'external_links',
  'ipc',
  'links',
  'mac_address',
  'network_mode',
  'pid',
  'privileged',
  'restart',
  'security_opt',
  'shm_size',
  'userns_mode',
]

/** Service keys that Compose 3 dropped, with why nothing is lost. */
export const DEPRECATED_KEYS: ReadonlyMap<string, string> = new Map([
  ['container_name', 'Setting the container name is not supported.'],
  [
    'expose',
    "Exposing ports is unnecessary - services on the same network can access each other's containers on any port.",
  ],
])

/** Service keys that the docker CLI drops without a word. */
export const SILENT_KEYS: readonly string[] = ['depends_on', 'tmpfs']

/** Service keys of other formats, and what to write in their place. */
export const FORBIDDEN_KEYS: ReadonlyMap<string, string> = new Map([
  ['extends', 'use YAML anchors or several stack files'],
  ['volume_driver', 'define a volume under the top-level volumes key and set its driver there'],
  ['volumes_from', 'define a volume under the top-level volumes key and name it in each service'],
  ['cpu_quota', 'set resource limits with deploy.resources'],
  ['cpu_shares', 'set resource limits with deploy.resources'],
  ['cpuset', 'set resource limits with deploy.resources'],
  ['mem_limit', 'set resource limits with deploy.resources'],
  ['memswap_limit', 'set resource limits with deploy.resources'],
])

/** Something that a file says and that a deployment does not do. */
export type StackWarning =
  | { kind: 'unsupported'; keys: string[] }
  | { kind: 'deprecated'; keys: string[] }
  | { kind: 'note'; text: string }

/** A warning as one line (deprecated keys: one a line) for standard error. */
export const formatWarning = (warning: StackWarning): string => {
  switch (warning.kind) {
    case 'unsupported':
      return `Ignoring unsupported options: ${warning.keys.join(', ')}`
    case 'deprecated':
      return [
        'Ignoring deprecated options:',
        ...warning.keys.map((key) => `  ${key}: ${DEPRECATED_KEYS.get(key) ?? ''}`),
      ].join('\n')
    case 'note':
      return warning.text
    default:
      return warning satisfies never
  }
}

/** The warnings about keys that the files' services set and a cluster does not use. */
export const keyWarnings = (roots: readonly ValueMap[]): StackWarning[] => {
  const services = roots.flatMap(servicesOf)
  const isSet = (key: string): boolean => services.some(([, service]) => isIgnored(service, key))
  const unsupported = UNSUPPORTED_KEYS.filter(isSet)
  const deprecated = [...DEPRECATED_KEYS.keys()].filter(isSet)
  const warnings: StackWarning[] = []
  if (unsupported.length > 0) warnings.push({ kind: 'unsupported', keys: unsupported })
  if (deprecated.length > 0) warnings.push({ kind: 'deprecated', keys: deprecated })
  for (const [name, service] of services) {
    for (const key of SILENT_KEYS) {
      if (entry(service, key) === undefined) continue
      warnings.push({
        kind: 'note',
        text: `services.${name}.${key} is ignored${SILENT_HINTS[key] ?? ''}`,
      })
    }
    warnings.push(...addressWarnings(name, service))
  }
  return warnings
}

const SILENT_HINTS: Readonly<Record<string, string>> = {
  depends_on: ': the services of a stack start independently',
  tmpfs: ': write it under volumes with type: tmpfs',
}

const addressWarnings = (name: string, service: ValueMap): StackWarning[] => {
  const networks = entry(service, 'networks')
  if (!isMap(networks)) return []
  return Object.entries(networks).flatMap(([network, attachment]) =>
    ['ipv4_address', 'ipv6_address']
      .filter((key) => isMap(attachment) && entry(attachment, key) !== undefined)
      .map((key) => ({
        kind: 'note',
        text: `services.${name}.networks.${network}.${key} is ignored: the cluster assigns addresses`,
      })),
  )
}

/** `restart` has an effect as long as nothing overrides it. */
const isIgnored = (service: ValueMap, key: string): boolean => {
  if (entry(service, key) === undefined) return false
  if (key !== 'restart') return true
  const deploy = entry(service, 'deploy')
  return isMap(deploy) && entry(deploy, 'restart_policy') !== undefined
}

const servicesOf = (root: ValueMap): [string, ValueMap][] => {
  const services = entry(root, 'services')
  if (!isMap(services)) return []
  return Object.entries(services).flatMap(([name, service]) =>
    isMap(service) ? [[name, service]] : [],
  )
}

/** A service's key of another format with its remedy; undefined when there is none. */
export const forbiddenKey = (
  root: ValueMap,
): { service: string; key: string; remedy: string } | undefined => {
  for (const [service, map] of servicesOf(root)) {
    for (const [key, remedy] of FORBIDDEN_KEYS) {
      if (entry(map, key) !== undefined) return { service, key, remedy }
    }
  }
  return undefined
}
