import type { Draft } from './draft.ts'
import { integer } from './flag-values.ts'
import { genericResource, kindOf } from './generic-resource-flag.ts'
import { badFlag } from './key-values.ts'
import { parseMount } from './mount-flag.ts'
import { parseNetwork } from './network-flag.ts'
import { parsePublish } from './publish-flag.ts'
import { parseDataReference } from './reference-flag.ts'

/**
 * A flag for a list or map. On `create` it is `--<name>`; on `update` `--<name>-add`, which replaces the member of the same key,
 * and `--<name>-rm`, which takes a key.
 */
export interface ListFlag {
  name: string
  short?: string
  placeholder: string
  help: string
  add(draft: Draft, value: string, flag: string): void
  remove(draft: Draft, key: string): void
}

/** The list without members of `key`, and with `member` when there is one. */
const replaced = <T>(
  list: readonly T[] | undefined,
  keyOf: (member: T) => string,
  key: string,
  members: readonly T[] = [],
): T[] => [...(list ?? []).filter((member) => keyOf(member) !== key), ...members]

const splitPair = (value: string): [string, string] => {
  const at = value.indexOf('=')
  return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)]
}

const without = (map: Record<string, string> | undefined, key: string): Record<string, string> => {
  const { [key]: _removed, ...rest } = map ?? {}
  return rest
}

const identity = (text: string): string => text
const envKey = (entry: string): string => entry.split('=')[0] as string

/** A list of plain texts at one place of the container spec or placement. */
const texts = (
  name: string,
  placeholder: string,
  help: string,
  get: (draft: Draft) => string[] | undefined,
  set: (draft: Draft, list: string[]) => void,
  keyOf: (member: string) => string = identity,
): ListFlag => ({
  name,
  placeholder,
  help,
  add: (draft, value) => set(draft, replaced(get(draft), keyOf, keyOf(value), [value])),
  remove: (draft, key) => set(draft, replaced(get(draft), keyOf, key)),
})

/** A map of `key=value` at one place. */
const pairs = (
  name: string,
  help: string,
  get: (draft: Draft) => Record<string, string> | undefined,
  set: (draft: Draft, map: Record<string, string>) => void,
): ListFlag => ({
  name,
  placeholder: 'key=value',
  help,
  add(draft, value) {
    const [key, text] = splitPair(value)
    set(draft, { ...get(draft), [key]: text })
  },
  remove: (draft, key) => set(draft, without(get(draft), key)),
})

const dnsConfig = (draft: Draft) => {
  draft.container.DNSConfig ??= {}
  return draft.container.DNSConfig
}

/** `db:10.0.0.5` as the `/etc/hosts` order that the API wants. */
const hostEntry = (value: string, flag: string): string => {
  const at = value.search(/[:=]/)
  if (at <= 0) throw badFlag(flag, value, 'expected host:ip')
  return `${value.slice(at + 1)} ${value.slice(0, at)}`
}

const ulimit = (value: string, flag: string) => {
  const [name, limits = ''] = splitPair(value)
  const [soft = '', hard = soft] = limits.split(':')
  return { Name: name, Soft: integer(flag, soft), Hard: integer(flag, hard) }
}

const DATA_FLAGS: ListFlag[] = [
  {
    name: 'secret',
    placeholder: 'secret',
    help: 'Secret: name, or source=…,target=…,uid=…,gid=…,mode=…',
    add(draft, value, flag) {
      const { name, target, uid, gid, mode } = parseDataReference(flag, value)
      const file = { Name: target, UID: uid, GID: gid, Mode: mode }
      draft.container.Secrets = [
        ...(draft.container.Secrets ?? []).filter((other) => other.File?.Name !== target),
        { File: file, SecretID: '', SecretName: name },
      ]
    },
    remove(draft, key) {
      draft.container.Secrets = replaced(draft.container.Secrets, (ref) => ref.SecretName, key)
    },
  },
  {
    name: 'config',
    placeholder: 'config',
    help: 'Config: name, or source=…,target=…,uid=…,gid=…,mode=…',
    add(draft, value, flag) {
      const { name, target, uid, gid, mode } = parseDataReference(flag, value)
      const file = { Name: target, UID: uid, GID: gid, Mode: mode }
      draft.container.Configs = [
        ...(draft.container.Configs ?? []).filter((other) => other.File?.Name !== target),
        { File: file, ConfigID: '', ConfigName: name },
      ]
    },
    remove(draft, key) {
      draft.container.Configs = replaced(draft.container.Configs, (ref) => ref.ConfigName, key)
    },
  },
  {
    name: 'mount',
    placeholder: 'mount',
    help: 'Mount: type=bind|volume|tmpfs,source=…,target=…,readonly',
    add(draft, value, flag) {
      const mount = parseMount(flag, value)
      draft.container.Mounts = replaced(
        draft.container.Mounts,
        (other) => other.Target ?? '',
        mount.Target ?? '',
        [mount],
      )
    },
    remove(draft, key) {
      draft.container.Mounts = replaced(draft.container.Mounts, (mount) => mount.Target ?? '', key)
    },
  },
]

const NETWORK_FLAGS: ListFlag[] = [
  {
    name: 'publish',
    short: 'p',
    placeholder: 'port',
    help: 'Port: 8080:80, or published=8080,target=80,protocol=tcp,mode=ingress|host',
    add(draft, value, flag) {
      for (const port of parsePublish(flag, value)) {
        const key = `${port.TargetPort}/${port.Protocol}/${port.PublishedPort ?? 0}`
        draft.endpoint.Ports = replaced(
          draft.endpoint.Ports,
          (other) => `${other.TargetPort}/${other.Protocol}/${other.PublishedPort ?? 0}`,
          key,
          [port],
        )
      }
    },
    remove(draft, key) {
      const [target, protocol = 'tcp'] = key.split('/')
      draft.endpoint.Ports = (draft.endpoint.Ports ?? []).filter(
        (port) => !(String(port.TargetPort) === target && port.Protocol === protocol),
      )
    },
  },
  {
    name: 'network',
    placeholder: 'network',
    help: 'Network: name, or name=…,alias=…',
    add(draft, value, flag) {
      const network = parseNetwork(flag, value)
      draft.task.Networks = replaced(draft.task.Networks, (other) => other.Target, network.Target, [
        network,
      ])
    },
    remove(draft, key) {
      draft.task.Networks = replaced(draft.task.Networks, (network) => network.Target, key)
    },
  },
  {
    name: 'host',
    placeholder: 'host:ip',
    help: 'Line for /etc/hosts',
    add(draft, value, flag) {
      draft.container.Hosts = [...(draft.container.Hosts ?? []), hostEntry(value, flag)]
    },
    remove(draft, key) {
      const [host = '', ip] = key.split(':')
      draft.container.Hosts = (draft.container.Hosts ?? []).filter((entry) => {
        const [address, ...names] = entry.split(/\s+/)
        return !(names.includes(host) && (ip === undefined || ip === address))
      })
    },
  },
  texts(
    'dns',
    'ip',
    'Name server',
    (draft) => draft.container.DNSConfig?.Nameservers,
    (draft, list) => {
      dnsConfig(draft).Nameservers = list
    },
  ),
  texts(
    'dns-search',
    'domain',
    'Search domain',
    (draft) => draft.container.DNSConfig?.Search,
    (draft, list) => {
      dnsConfig(draft).Search = list
    },
  ),
  texts(
    'dns-option',
    'option',
    'Resolver option',
    (draft) => draft.container.DNSConfig?.Options,
    (draft, list) => {
      dnsConfig(draft).Options = list
    },
  ),
]

const CONTAINER_FLAGS: ListFlag[] = [
  {
    ...texts(
      'env',
      'key=value',
      'Environment variable; a bare name takes its value from here',
      (draft) => draft.container.Env,
      (draft, list) => {
        draft.container.Env = list
      },
      envKey,
    ),
    short: 'e',
  },
  pairs(
    'container-label',
    'Label of the containers',
    (draft) => draft.container.Labels,
    (draft, map) => {
      draft.container.Labels = map
    },
  ),
  texts(
    'group',
    'group',
    'Further group of the user',
    (draft) => draft.container.Groups,
    (draft, list) => {
      draft.container.Groups = list
    },
  ),
  pairs(
    'sysctl',
    'Kernel setting in the container',
    (draft) => draft.container.Sysctls,
    (draft, map) => {
      draft.container.Sysctls = map
    },
  ),
  {
    name: 'ulimit',
    placeholder: 'name=soft[:hard]',
    help: 'Limit of a process',
    add(draft, value, flag) {
      const limit = ulimit(value, flag)
      draft.container.Ulimits = replaced(
        draft.container.Ulimits,
        (other) => other.Name,
        limit.Name,
        [limit],
      )
    },
    remove(draft, key) {
      draft.container.Ulimits = replaced(draft.container.Ulimits, (limit) => limit.Name, key)
    },
  },
]

const RESOURCE_FLAGS: ListFlag[] = [
  {
    name: 'generic-resource',
    placeholder: 'kind=value',
    help: 'Resource that nodes offer: GPU=2, or a named one',
    add(draft, value, flag) {
      const resource = genericResource(value, flag)
      const kept = (draft.reservations.GenericResources ?? []).filter(
        (other) => !resource.DiscreteResourceSpec || kindOf(other) !== kindOf(resource),
      )
      draft.reservations.GenericResources = [...kept, resource]
    },
    remove(draft, kind) {
      draft.reservations.GenericResources = (draft.reservations.GenericResources ?? []).filter(
        (resource) => kindOf(resource) !== kind,
      )
    },
  },
]

const SERVICE_FLAGS: ListFlag[] = [
  {
    ...pairs(
      'label',
      'Label of the service',
      (draft) => draft.spec.Labels,
      (draft, map) => {
        draft.spec.Labels = map
      },
    ),
    short: 'l',
  },
  texts(
    'constraint',
    'expression',
    'Placement constraint, e.g. node.role==worker',
    (draft) => draft.task.Placement?.Constraints,
    (draft, list) => {
      draft.placement.Constraints = list
    },
  ),
  {
    name: 'placement-pref',
    placeholder: 'spread=key',
    help: 'Placement preference, e.g. spread=node.labels.zone',
    add(draft, value, flag) {
      const [strategy, key] = splitPair(value)
      if (strategy !== 'spread' || key === '') throw badFlag(flag, value, 'expected spread=key')
      draft.placement.Preferences = [
        ...(draft.placement.Preferences ?? []),
        { Spread: { SpreadDescriptor: key } },
      ]
    },
    remove(draft, value) {
      const key = value.replace(/^spread=/, '')
      draft.placement.Preferences = (draft.placement.Preferences ?? []).filter(
        (preference) => preference.Spread?.SpreadDescriptor !== key,
      )
    },
  },
]

/** Every list flag that `update` knows as `-add` and `-rm`. */
export const LIST_FLAGS: readonly ListFlag[] = [
  ...SERVICE_FLAGS,
  ...RESOURCE_FLAGS,
  ...CONTAINER_FLAGS,
  ...DATA_FLAGS,
  ...NETWORK_FLAGS,
]

/** `--cap-add` and `--cap-drop` mean the same on `create` and `update`: the one takes back the other. */
export const changeCapability = (draft: Draft, kind: 'add' | 'drop', capability: string): void => {
  const { container } = draft
  const name = capability.toUpperCase()
  const full = name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`
  const add = replaced(container.CapabilityAdd, identity, full, kind === 'add' ? [full] : [])
  const drop = replaced(container.CapabilityDrop, identity, full, kind === 'drop' ? [full] : [])
  container.CapabilityAdd = add
  container.CapabilityDrop = drop
}
