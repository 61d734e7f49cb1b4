// The Engine API's objects as a Go program would hold them: what a template finds in a field, and how it prints.
import { badTemplate } from './template-error.ts'

const NS_PER = { h: 3_600_000_000_000, m: 60_000_000_000, s: 1_000_000_000 } as const
const SMALL: readonly [unit: string, ns: number][] = [
  ['ms', 1_000_000],
  ['µs', 1_000],
  ['ns', 1],
]

/** A `time.Duration`, in nanoseconds: prints as `1m30s`, compares as a number. */
export class GoDuration {
  readonly ns: number

  constructor(ns: number) {
    this.ns = ns
  }

  valueOf(): number {
    return this.ns
  }

  toJSON(): number {
    return this.ns
  }

  toString(): string {
    const { ns } = this
    if (ns === 0) return '0s'
    if (ns < 0) return `-${new GoDuration(-ns)}`
    const small = ns < NS_PER.s ? SMALL.find(([, size]) => ns >= size) : undefined
    if (small) return `${ns / small[1]}${small[0]}`
    const hours = Math.floor(ns / NS_PER.h)
    const minutes = Math.floor((ns % NS_PER.h) / NS_PER.m)
    const seconds = `${(ns % NS_PER.m) / NS_PER.s}s`
    if (hours > 0) return `${hours}h${minutes}m${seconds}`
    return minutes > 0 ? `${minutes}m${seconds}` : seconds
  }
}

/** A `time.Time` from RFC 3339: prints as Go does, is JSON as it came. */
export class GoTime {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): string {
    return this.text
  }

  toString(): string {
    const [, date, time, fraction = '', zone = 'Z'] =
      /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/.exec(this.text) ?? []
    if (date === undefined) return this.text
    const shown = fraction.replace(/\.?0+$/, '')
    return `${date} ${time}${shown} ${zone === 'Z' ? '+0000 UTC' : `${zone.replace(':', '')} ${zone.replace(':', '')}`}`
  }
}

/** Nanoseconds in the API's JSON. */
const DURATIONS = new Set(
  'Delay Monitor Window StopGracePeriod Interval Timeout StartPeriod StartInterval HeartbeatPeriod NodeCertExpiry DrainLimit ScaleDownWindow'.split(
    ' ',
  ),
)
const TIMES = new Set(
  'CreatedAt UpdatedAt StartedAt CompletedAt Timestamp LastExecution Created'.split(' '),
)

/** Fields whose keys are a user's: a missing one is no mistake. */
const MAPS = new Set(
  'Labels Options DriverOpts Sysctls Containers Services EngineLabels Annotations'.split(' '),
)

/** Fields that the API leaves out when they are empty, by what Go then has in them. */
const EMPTY: readonly [value: unknown, names: string][] = [
  [
    '',
    'Hostname Dir User StopSignal Isolation Image Source Target Consistency Err Message ContainerID Addr Driver Mode State Runtime Description Propagation Subpath Strategy FailureAction Order Condition Gateway IPRange Subnet Scope Protocol PublishMode Reachability Architecture OS EngineVersion SigningCACert SigningCAKey',
  ],
  [
    0,
    'ForceUpdate Parallelism MaxFailureRatio PublishedPort TargetPort Retries NanoCPUs MemoryBytes Pids MaxReplicas OomScoreAdj Slot ExitCode PID Replicas ForceRotate SizeBytes DesiredTasks RunningTasks CompletedTasks',
  ],
  [
    false,
    'TTY OpenStdin ReadOnly Internal Attachable Ingress Leader NoCopy NonRecursive AutoLockManagers ConfigOnly EnableIPv6 EnableIPv4',
  ],
  [
    null,
    'Init Healthcheck Privileges DNSConfig UpdateConfig RollbackConfig UpdateStatus PreviousSpec EndpointSpec ServiceStatus JobStatus ManagerStatus RestartPolicy Placement Resources Limits Reservations LogDriver Replicated Global ReplicatedJob GlobalJob StopGracePeriod Templating ContainerStatus PortStatus ContainerSpec PluginSpec NetworkAttachmentSpec TotalCompletions MaxConcurrent MaxAttempts Spread File BindOptions VolumeOptions TmpfsOptions DriverConfig IPAM IPAMOptions TLSInfo JobIteration ExternalCAs CredentialSpec SELinuxContext Swarmctl',
  ],
  [
    Object.freeze([]),
    'Env Args Command Groups Mounts Hosts Secrets Configs Networks Ports Constraints Preferences Platforms VirtualIPs CapabilityAdd CapabilityDrop Ulimits Aliases Nameservers Search NetworksAttachments Addresses GenericResources Plugins DefaultAddrPool Peers Test',
  ],
  [Object.freeze({}), [...MAPS].join(' ')],
]

const EMPTY_BY_NAME = new Map(
  EMPTY.flatMap(([value, names]) =>
    names.split(' ').map((name): [string, unknown] => [name, value]),
  ),
)

/** Objects that a field of MAPS gave. */
const maps = new WeakSet<object>()

const typed = (name: string, value: unknown): unknown => {
  if (typeof value === 'number' && DURATIONS.has(name)) return new GoDuration(value)
  if (typeof value === 'string' && TIMES.has(name)) return new GoTime(value)
  if (typeof value === 'object' && value !== null && MAPS.has(name)) maps.add(value)
  return value
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const similar = (object: object, name: string): string => {
  const found = Object.keys(object).find((key) => key.toLowerCase() === name.toLowerCase())
  return found === undefined ? '' : `; did you mean .${found}?`
}

/** The field of a value. Throws when there can't be such a one. */
export const fieldOf = (value: unknown, name: string, path: string): unknown => {
  if (value === null || value === undefined) throw badTemplate(`nothing is there for .${path}`)
  if (!isObject(value) || value instanceof GoDuration || value instanceof GoTime) {
    throw badTemplate(`there is no field .${path}`)
  }
  if (Object.hasOwn(value, name)) return typed(name, value[name])
  if (maps.has(value)) return undefined
  if (EMPTY_BY_NAME.has(name)) {
    const empty = EMPTY_BY_NAME.get(name)
    return DURATIONS.has(name) && typeof empty === 'number' ? new GoDuration(empty) : empty
  }
  if (DURATIONS.has(name)) return new GoDuration(0)
  throw badTemplate(`there is no field .${path}${similar(value, name)}`)
}

/** What Go takes for false: what is empty. */
export const isTrue = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof GoDuration) return value.ns !== 0
  if (value instanceof GoTime) return true
  if (isObject(value)) return !maps.has(value) || Object.keys(value).length > 0
  return Boolean(value)
}

/** As Go's `%v`. */
export const goText = (value: unknown): string => {
  if (value === undefined) return '<no value>'
  if (value === null) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (!isObject(value) || value instanceof GoDuration || value instanceof GoTime) {
    return String(value)
  }
  const members = sortedEntries(value).map(
    ([key, member]) => `${key}:${goText(typed(key, member))}`,
  )
  return `map[${members.join(' ')}]`
}

/** Members by key, as Go ranges over a map. */
export const sortedEntries = (object: object): [key: string, value: unknown][] =>
  Object.entries(object).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
