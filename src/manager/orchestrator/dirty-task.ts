import { type Constraint, parseConstraint, unmetConstraint } from '../../api/constraint.ts'
import { hostAddressOf } from '../../api/host-port.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { PortConfig, TaskSpec } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'

/**
 * Whether the task must be replaced to follow the service's spec. Not when only the registry credentials or the scale differ, and not
 * when only the placement differs and the task's node still satisfies it.
 */
export const isDirty = (task: Task, service: Service, node: Node | undefined): boolean => {
  if (task.Swarmctl.SpecVersion === service.Swarmctl.SpecVersion) return false
  if (!hasSameEndpoint(task, service)) return true
  const wanted = fingerprintsOf(service.Spec.TaskTemplate, service.Spec.Networks)
  const actual = fingerprintsOf(task.Spec, undefined)
  if (wanted.content !== actual.content) return true
  if (wanted.logDriver !== NONE && wanted.logDriver !== actual.logDriver) return true
  if (wanted.placement === actual.placement) return false
  return node === undefined || !satisfiesPlacement(service.Spec.TaskTemplate, node)
}

/** Whether the node meets all placement constraints; one that can't be parsed is never met. */
export const satisfiesPlacement = (spec: TaskSpec, node: Node): boolean => {
  const constraints = constraintsOf(spec)
  return constraints !== undefined && unmetConstraint(constraints, node) === undefined
}

interface Fingerprints {
  content: string
  placement: string
  /** Apart: where the service names none the task may have the cluster's. */
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
  const { Placement, PullOptions: _, LogDriver, ...content } = spec
  const networks = spec.Networks ?? serviceNetworks
  const fingerprints = {
    content: canonicalText({ ...content, Networks: networks }),
    placement: canonicalText(Placement ?? {}),
    logDriver: canonicalText(LogDriver ?? {}),
  }
  fingerprintCache.set(spec, fingerprints)
  return fingerprints
}

/** JSON with sorted keys and without what is empty: an absent list and an empty one mean the same in a spec. */
const canonicalText = (value: unknown): string => JSON.stringify(canonical(value)) ?? NONE

const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map((item) => canonical(item) ?? null)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value)
    .map(([key, item]) => [key, canonical(item)] as const)
    .filter(([, item]) => !isEmpty(item))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries)
}

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
  (publishedPort(wanted) === 0 || publishedPort(wanted) === publishedPort(actual))
