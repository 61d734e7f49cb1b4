import { SwarmctlError } from '../../api/errors.ts'
import { hostEntry, nameServer, searchDomain, withoutHost } from './address-flags.ts'
import type { Draft } from './draft.ts'
import { decimalInteger } from './flag-values.ts'
import { genericResource, kindOf } from './generic-resource-flag.ts'
import { badFlag, labelPair, splitPair } from './key-values.ts'
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
  remove(draft: Draft, key: string, flag: string): void
}

/** The list without members of `key`, and with `member` when there is one. */
const replaced = <T>(
  list: readonly T[] | undefined,
  keyOf: (member: T) => string,
  key: string,
  members: readonly T[] = [],
): T[] => [...(list ?? []).filter((member) => keyOf(member) !== key), ...members]

const without = (map: Record<string, string> | undefined, key: string): Record<string, string> => {
  const { [key]: _removed, ...rest } = map ?? {}
  return rest
}

const identity = (text: string): string => text
const envEntry = (entry: string, flag: string): string => {
  if (envKey(entry) === '') throw badFlag(flag, entry, 'the name is empty')
  return entry
}
const envKey = (entry: string): string => entry.split('=')[0] as string

/** A list of plain texts at one place of the container spec or placement. */
const texts = (
  name: string,
  placeholder: string,
  help: string,
  get: (draft: Draft) => string[] | undefined,
  set: (draft: Draft, list: string[]) => void,
  {
    keyOf = identity,
    read = identity,
  }: {
    keyOf?: (member: string) => string
    /** The member that a flag means. */
    read?: (value: string, flag: string) => string
  } = {},
): ListFlag => ({
  name,
  placeholder,
  help,
  add(draft, value, flag) {
    const member = read(value, flag)
    set(draft, replaced(get(draft), keyOf, keyOf(member), [member]))
  },
  remove: (draft, key) => set(draft, replaced(get(draft), keyOf, key)),
})

/** A map of `key=value` at one place. */
const pairs = (
  name: string,
  help: string,
  get: (draft: Draft) => Record<string, string> | undefined,
  set: (draft: Draft, map: Record<string, string>) => void,
  read: (flag: string, text: string) => [string, string] = (_flag, text) => splitPair(text),
): ListFlag => ({
  name,
  placeholder: 'key=value',
  help,
  add(draft, value, flag) {
    const [key, text] = read(flag, value)
    set(draft, { ...get(draft), [key]: text })
  },
  remove: (draft, key) => set(draft, without(get(draft), key)),
})

/** A flag whose `-rm` also takes the whole of what `-add` does, as Docker's for these. */
const withPairsRemoved = (flag: ListFlag): ListFlag => ({
  ...flag,
  remove: (draft, text, name) => flag.remove(draft, splitPair(text)[0], name),
})

const dnsConfig = (draft: Draft) => {
  draft.container.DNSConfig ??= {}
  return draft.container.DNSConfig
}

/** What the Engine can limit. */
const ULIMITS =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'

const ulimit = (value: string, flag: string) => {
  const [name, limits = ''] = splitPair(value)
  if (!ULIMITS.split(' ').includes(name)) throw badFlag(flag, value, `expected one of ${ULIMITS}`)
  const [soft = '', hard = soft, ...more] = limits.split(':')
  if (more.length > 0) throw badFlag(flag, value, 'expected name=soft[:hard]')
  return { Name: name, Soft: decimalInteger(flag, soft), Hard: decimalInteger(flag, hard) }
}

const DATA_FLAGS: ListFlag[] = [
  {
    name: 'secret',
    placeholder: 'secret',
    help: 'Secret: name, or source=…,target=…,uid=…,gid=…,mode=…',
    add(draft, value, flag) {
      const { name, target, uid, gid, mode } = parseDataReference(flag, value)
      draft.claim(flag, value, target)
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
      draft.claim(flag, value, target)
      const file = { Name: target, UID: uid, GID: gid, Mode: mode }
      draft.container.Configs = [
        ...(draft.container.Configs ?? []).filter((other) => other.File?.Name !== target),
        { File: file, ConfigID: '', ConfigName: name },
      ]
    },
    remove(draft, key) {
      // A credential spec's reference goes with `--credential-spec`.
      draft.container.Configs = (draft.container.Configs ?? []).filter(
        (ref) => ref.Runtime !== undefined || ref.ConfigName !== key,
      )
    },
  },
  {
    name: 'mount',
    placeholder: 'mount',
    help: 'Mount: type=bind|volume|tmpfs,source=…,target=…,readonly',
    add(draft, value, flag) {
      const mount = parseMount(flag, value)
      draft.claim(flag, value, mount.Target ?? '')
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
        draft.claim(flag, value, key)
        draft.endpoint.Ports = replaced(
          draft.endpoint.Ports,
          (other) => `${other.TargetPort}/${other.Protocol}/${other.PublishedPort ?? 0}`,
          key,
          [port],
        )
      }
    },
    remove(draft, key, flag) {
      // Without a word of it ports of both modes are meant.
      const saysMode = /(?:^|,)mode=/i.test(key)
      for (const { TargetPort, Protocol, PublishMode } of parsePublish(flag, key)) {
        draft.endpoint.Ports = (draft.endpoint.Ports ?? []).filter(
          (port) =>
            port.TargetPort !== TargetPort ||
            port.Protocol !== Protocol ||
            (saysMode && port.PublishMode !== PublishMode),
        )
      }
    },
  },
  {
    name: 'network',
    placeholder: 'network',
    help: 'Network: name, or name=…,alias=…',
    add(draft, value, flag) {
      const network = parseNetwork(flag, value)
      draft.claim(flag, value, network.Target)
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
      const entry = hostEntry(value, flag)
      draft.container.Hosts = replaced(draft.container.Hosts, identity, entry, [entry])
    },
    remove(draft, key) {
      draft.container.Hosts = withoutHost(draft.container.Hosts ?? [], key)
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
    { read: nameServer },
  ),
  texts(
    'dns-search',
    'domain',
    'Search domain',
    (draft) => draft.container.DNSConfig?.Search,
    (draft, list) => {
      dnsConfig(draft).Search = list
    },
    { read: searchDomain },
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
      { keyOf: envKey, read: envEntry },
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
    labelPair,
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
  withPairsRemoved(
    pairs(
      'sysctl',
      'Kernel setting in the container',
      (draft) => draft.container.Sysctls,
      (draft, map) => {
        draft.container.Sysctls = map
      },
    ),
  ),
  withPairsRemoved({
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
  }),
]

const RESOURCE_FLAGS: ListFlag[] = [
  {
    name: 'generic-resource',
    placeholder: 'kind=value',
    help: 'Resource that nodes offer: GPU=2, or a named one',
    add(draft, value, flag) {
      const resource = genericResource(value, flag)
      if (resource.DiscreteResourceSpec) draft.claim(flag, value, kindOf(resource))
      const kept = (draft.reservations.GenericResources ?? []).filter(
        (other) => !resource.DiscreteResourceSpec || kindOf(other) !== kindOf(resource),
      )
      draft.reservations.GenericResources = [...kept, resource]
    },
    remove(draft, kind, flag) {
      const before = draft.reservations.GenericResources ?? []
      const kept = before.filter((resource) => kindOf(resource) !== kind)
      if (kept.length === before.length) {
        throw new SwarmctlError(
          'INVALID_ARGUMENT',
          `${flag} ${kind}: the service asks for no such resource`,
        )
      }
      draft.reservations.GenericResources = kept
    },
  },
]

const spreadKey = (value: string, flag: string): string => {
  const [strategy, key] = splitPair(value)
  if (strategy !== 'spread' || key === '') throw badFlag(flag, value, 'expected spread=key')
  return key
}

const SERVICE_FLAGS: ListFlag[] = [
  {
    ...pairs(
      'label',
      'Label of the service',
      (draft) => draft.spec.Labels,
      (draft, map) => {
        draft.spec.Labels = map
      },
      labelPair,
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
      draft.placement.Preferences = [
        ...(draft.placement.Preferences ?? []),
        { Spread: { SpreadDescriptor: spreadKey(value, flag) } },
      ]
    },
    remove(draft, value, flag) {
      const key = spreadKey(value, flag)
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
