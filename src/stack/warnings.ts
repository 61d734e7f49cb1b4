import { entry, isMap, type Path, type ValueMap } from './value.ts'

/** Service keys that a cluster does nothing with; the docker CLI's list without what the worker does here. */
export const UNUSED_SERVICE_KEYS: readonly string[] = [
  'attach',
  'build',
  'develop',
  'external_links',
  'links',
  'mac_address',
  'network_mode',
  'pull_policy',
  'pull_refresh_after',
]

/** Service keys that Compose 3 dropped, with why nothing is lost. */
export const DEPRECATED_KEYS: ReadonlyMap<string, string> = new Map([
  [
    'expose',
    "Exposing ports is unnecessary - services on the same network can access each other's containers on any port.",
  ],
])

/** What to write in place of an unused key, where there is something. */
const REMEDIES: Readonly<Record<string, string>> = {
  build: 'the image is used as a registry has it',
  external_links: 'services on the same network reach each other by name',
  links: 'services on the same network reach each other by name',
  mac_address: 'the cluster assigns addresses',
  network_mode: 'name a network such as host or none under networks, with external: true',
  pull_policy: 'images are pulled where they are missing',
  pull_refresh_after: 'images are pulled where they are missing',
}

const NO_MODELS = 'a cluster runs containers only; run the model as a service'

/** Service keys of other formats or products, and what to write in their place. */
const FORBIDDEN_KEYS: ReadonlyMap<string, string> = new Map([
  ['volume_driver', 'define a volume under the top-level volumes key and set its driver there'],
  ['volumes_from', 'define a volume under the top-level volumes key and name it in each service'],
  ['models', NO_MODELS],
  ['provider', 'a cluster runs containers only; create what it provides beforehand'],
  ['use_api_socket', "mount the Engine's socket under volumes"],
  ['pre_start', 'give the step a service of its own and name it in depends_on'],
  ['post_start', "make it a part of the image's entrypoint"],
  ['pre_stop', 'let the process act on stop_signal'],
])

/** Something that a file says and that a deployment does not do. */
export type StackWarning =
  | { kind: 'unsupported'; keys: string[] }
  | { kind: 'deprecated'; keys: string[] }
  | { kind: 'note'; text: string }

/** A warning for standard error: a line, and one for each key of which there is more to say. */
export const formatWarning = (warning: StackWarning): string => {
  switch (warning.kind) {
    case 'unsupported':
      return [
        `Ignoring unsupported options: ${warning.keys.join(', ')}`,
        ...warning.keys.flatMap((key) => (REMEDIES[key] ? [`  ${key}: ${REMEDIES[key]}`] : [])),
      ].join('\n')
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
  const unsupported = [...UNUSED_SERVICE_KEYS, 'restart'].filter(isSet)
  const deprecated = [...DEPRECATED_KEYS.keys()].filter(isSet)
  const warnings: StackWarning[] = []
  if (unsupported.length > 0) warnings.push({ kind: 'unsupported', keys: unsupported })
  if (deprecated.length > 0) warnings.push({ kind: 'deprecated', keys: deprecated })
  for (const [name, service] of services) warnings.push(...addressWarnings(name, service))
  return warnings
}

/** Of a service's networks: what a task's address can't have. */
const IGNORED_ATTACHMENT_KEYS = [
  'ipv6_address',
  'link_local_ips',
  'mac_address',
  'interface_name',
  'priority',
  'gw_priority',
]

const addressWarnings = (name: string, service: ValueMap): StackWarning[] => {
  const networks = entry(service, 'networks')
  if (!isMap(networks)) return []
  return Object.entries(networks).flatMap(([network, attachment]) =>
    IGNORED_ATTACHMENT_KEYS.filter(
      (key) => isMap(attachment) && entry(attachment, key) !== undefined,
    ).map((key) => ({
      kind: 'note',
      text: `services.${name}.networks.${network}.${key} is ignored: an overlay decides it by itself`,
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

/** A key of another format, of the file or of a service, with its remedy; undefined when there is none. */
export const forbiddenKey = (root: ValueMap): { path: Path; remedy: string } | undefined => {
  for (const [service, map] of servicesOf(root)) {
    for (const [key, remedy] of FORBIDDEN_KEYS) {
      // `use_api_socket: false` asks for nothing.
      const value = entry(map, key)
      if (value !== undefined && value !== false)
        return { path: ['services', service, key], remedy }
    }
  }
  return entry(root, 'models') === undefined ? undefined : { path: ['models'], remedy: NO_MODELS }
}
