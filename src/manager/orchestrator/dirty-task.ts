import { type Constraint, parseConstraint, unmetConstraint } from '../../api/constraint.ts'
import { hostAddressOf } from '../../api/host-port.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { PortConfig, TaskSpec } from '../../api/service-spec.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import { compareTaskStates, isWanted } from '../../api/task-state.ts'

/** What a task is compared with. */
export interface Wanted {
  service: Service
  cluster: Cluster | undefined
}

/**
 * Whether the task must be replaced to follow the service's spec. Not when only the scale differs, when only the placement differs and the
 * task's node still satisfies it, or when only the registry credentials differ and the task has its image.
 */
export const isDirty = (
  task: Task,
  { service, cluster }: Wanted,
  node: Node | undefined,
): boolean => {
  if (task.Swarmctl.SpecVersion === service.Swarmctl.SpecVersion) return false
  if (!hasSameEndpoint(task, service)) return true
  const wanted = fingerprintsOf(service.Spec.TaskTemplate, service.Spec.Networks)
  const actual = fingerprintsOf(task.Spec, undefined)
  if (wanted.content !== actual.content) return true
  if (wanted.credentials !== actual.credentials && !hasImage(task)) return true
  if (wanted.logDriver !== actual.logDriver) {
    // Where the service names none the task may have the cluster's.
    const isClusters =
      wanted.logDriver === NONE && actual.logDriver === logDriverText(cluster?.Spec.TaskDefaults)
    if (!isClusters) return true
  }
  if (wanted.placement === actual.placement) return false
  return node === undefined || !satisfiesPlacement(service.Spec.TaskTemplate, node)
}

/** Else new credentials are what may help it: those it has may be why it can't be pulled (swarmkit `IsTaskDirty`). */
const hasImage = ({ DesiredState, Status }: Task): boolean =>
  isWanted(DesiredState) &&
  compareTaskStates(Status.State, 'ready') >= 0 &&
  compareTaskStates(Status.State, 'running') <= 0

const logDriverText = (spec: { LogDriver?: unknown } | undefined): string =>
  canonicalText(spec?.LogDriver ?? {})

/** Whether the node meets all placement constraints; one that can't be parsed is never met. */
export const satisfiesPlacement = (spec: TaskSpec, node: Node): boolean => {
  const constraints = constraintsOf(spec)
  return constraints !== undefined && unmetConstraint(constraints, node) === undefined
}

interface Fingerprints {
  content: string
  placement: string
  credentials: string
  logDriver: string
}

const NONE = '{}'

/** Specs are frozen once stored, so what is derived from one is kept as long as it is. */
const fingerprintCache = new WeakMap<TaskSpec, Fingerprints>()
const constraintCache = new WeakMap<TaskSpec, Constraint[] | null>()

const constraintsOf = (spec: TaskSpec): Constraint[] | undefined => {
  let constraints = constraintCache.get(spec)
  if (constraints === undefined) {
    try {
      constraints = (spec.Placement?.Constraints ?? []).map(parseConstraint)
    } catch {
      // Control refuses such a spec; a restored one must not end the loop.
      constraints = null
    }
    constraintCache.set(spec, constraints)
  }
  return constraints ?? undefined
}

const fingerprintsOf = (
  spec: TaskSpec,
  serviceNetworks: TaskSpec['Networks'] | undefined,
): Fingerprints => {
  const cached = fingerprintCache.get(spec)
  if (cached !== undefined) return cached
  const { Placement, PullOptions, LogDriver: _, ...content } = spec
  const networks = spec.Networks ?? serviceNetworks
  const fingerprints = {
    content: canonicalText({ ...content, Networks: networks }),
    placement: canonicalText(Placement ?? {}),
    credentials: canonicalText(PullOptions ?? {}),
    logDriver: logDriverText(spec),
  }
  fingerprintCache.set(spec, fingerprints)
  return fingerprints
}

/** Their members are names of the user's, and a value may be empty: an empty label is one. */
const MAPS: ReadonlySet<string> = new Set(['Labels', 'Sysctls', 'Options', 'DriverOpts'])
/** Where a zero is not the same as none. So it is in `Swarmctl`, which Go clients don't know. */
const ZERO_COUNTS: ReadonlySet<string> = new Set([
  'Delay',
  'Init',
  'MemorySwappiness',
  'Mode',
  'StopGracePeriod',
  'SwapBytes',
])

/**
 * JSON with sorted keys and without what is empty: an absent list and an empty one mean the same in a spec, and so do an absent number and 0,
 * since Go clients write the one for the other when they send back what another client made.
 */
const canonicalText = (value: unknown): string => JSON.stringify(canonical(value, false)) ?? NONE

const canonical = (value: unknown, isExact: boolean): unknown => {
  if (Array.isArray(value)) return value.map((item) => canonical(item, isExact) ?? null)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value)
    .map(([key, item]) => {
      const isMemberExact = isExact || MAPS.has(key) || key === 'Swarmctl'
      return [key, canonical(item, isMemberExact)] as const
    })
    .filter(([key, item]) => !isEmpty(item) && (isExact || ZERO_COUNTS.has(key) || !isZero(item)))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries)
}

const isZero = (value: unknown): boolean => value === 0 || value === false || value === ''

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (typeof value === 'object' && Object.keys(value).length === 0)

/** Compares what the spec asks for; numbers that were allocated for it don't count. */
const hasSameEndpoint = (task: Task, service: Service): boolean => {
  const wanted = service.Spec.EndpointSpec
  const actual = task.Swarmctl.Endpoint
  if ((wanted?.Mode ?? 'vip') !== (actual.Mode ?? 'vip')) return false
  const rest = [...(actual.Ports ?? [])]
  const ports = [...(wanted?.Ports ?? [])].sort((a, b) => publishedPort(b) - publishedPort(a))
  if (ports.length !== rest.length) return false
  return ports.every((port) => {
    const at = rest.findIndex((other) => isSamePort(port, other))
    if (at === -1) return false
    rest.splice(at, 1)
    return true
  })
}

const publishedPort = (port: PortConfig): number => port.PublishedPort ?? 0

const isSamePort = (wanted: PortConfig, actual: PortConfig): boolean =>
  wanted.TargetPort === actual.TargetPort &&
  wanted.Protocol === actual.Protocol &&
  wanted.PublishMode === actual.PublishMode &&
  // The mesh's listeners change theirs by themselves.
  hostAddressOf(wanted) === hostAddressOf(actual) &&
  // Of the mesh's ports those without a number got one; a node's own are each task's to choose.
  ((publishedPort(wanted) === 0 && wanted.PublishMode === 'ingress') ||
    publishedPort(wanted) === publishedPort(actual))
