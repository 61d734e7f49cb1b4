import type { Autoscale } from '../../api/autoscale.ts'
import { SCALE_DOWN_WINDOW_MAX_NS } from '../../api/defaults.ts'
import { clampReplicas, replicasOf, shareBases, withReplicas } from '../../api/replicas.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { ManifestProblem, within } from '../manifest-error.ts'
import { memoryBytes, nanoCpus } from '../quantity.ts'
import {
  AutoscalerV1,
  AutoscalerV2,
  ResourceMetric,
  type ScaleRules,
} from '../schema/autoscaler.ts'
import { checked } from '../schema/check.ts'

type Path = (string | number)[]
type Targets = Omit<Autoscale, 'Min' | 'Max' | 'ScaleDownWindow'>

const NS_PER_SECOND = 1e9
/** Kubernetes' target where an autoscaler names none. */
const CPU_PERCENT = 80

/** Kubernetes' default policies, which are this cluster's own. */
const UP_POLICIES = ['Pods 4 15', 'Percent 100 15']
const DOWN_POLICIES = ['Percent 100 15']

/** What a HorizontalPodAutoscaler says of which workload. */
export interface ScaledTarget {
  /** The Deployment's name. */
  name: string
  /** Its spec with the autoscaler. */
  scale(spec: ServiceSpec): ServiceSpec
}

/** Thrown: ManifestProblem, by this and by `scale`. */
export const convertAutoscaler = (apiVersion: string, tree: unknown): ScaledTarget => {
  const { spec, targets, behavior } = apiVersion === 'autoscaling/v1' ? readV1(tree) : readV2(tree)
  const { kind, name } = spec.scaleTargetRef
  if (kind !== 'Deployment') {
    const path = ['spec', 'scaleTargetRef', 'kind']
    throw new ManifestProblem(path, `${kind} is not supported: only a Deployment is scaled`)
  }
  const { minReplicas, maxReplicas } = spec
  if (minReplicas !== undefined && minReplicas > maxReplicas) {
    throw new ManifestProblem(['spec', 'maxReplicas'], 'must not be less than minReplicas')
  }
  const bounds = {
    ...(minReplicas !== undefined && { Min: minReplicas }),
    Max: maxReplicas,
    ...windowOf(behavior),
  }
  return {
    name,
    scale(service) {
      const Autoscale: Autoscale = { ...bounds, ...targets(service) }
      const replicas = clampReplicas(replicasOf(service) ?? 1, Autoscale)
      const Swarmctl = { ...service.Swarmctl, Autoscale }
      return { ...withReplicas(service, replicas), Swarmctl }
    },
  }
}

const readV1 = (tree: unknown) => {
  const { spec } = checked(AutoscalerV1, tree)
  const path = ['spec', 'targetCPUUtilizationPercentage']
  const targets = (service: ServiceSpec): Targets =>
    utilization('cpu', spec.targetCPUUtilizationPercentage ?? CPU_PERCENT, service, path)
  return { spec, targets, behavior: undefined }
}

const readV2 = (tree: unknown) => {
  const { spec } = checked(AutoscalerV2, tree)
  const { metrics = [], behavior } = spec
  const read = metrics.map((metric, index) => {
    const path = ['spec', 'metrics', index]
    if (metric.type !== 'Resource') {
      throw new ManifestProblem(
        [...path, 'type'],
        `${metric.type} is not supported: nodes report the CPU and memory of tasks, type: Resource`,
      )
    }
    return { path, resource: within(path, () => checked(ResourceMetric, metric)).resource }
  })
  const targets = (service: ServiceSpec): Targets => {
    if (read.length === 0) return utilization('cpu', CPU_PERCENT, service, ['spec', 'metrics'])
    const seen = new Set<string>()
    return Object.assign(
      {},
      ...read.map(({ path, resource }) => {
        if (seen.has(resource.name)) {
          throw new ManifestProblem(path, `is a second target for ${resource.name}`)
        }
        seen.add(resource.name)
        return targetOf(resource, service, [...path, 'resource', 'target'])
      }),
    )
  }
  return { spec, targets, behavior }
}

const targetOf = (
  { name, target }: ResourceMetric['resource'],
  service: ServiceSpec,
  path: Path,
): Targets => {
  const { type, averageUtilization, averageValue } = target
  if (type === 'Utilization') {
    if (averageUtilization === undefined) {
      throw new ManifestProblem([...path, 'averageUtilization'], 'is missing')
    }
    return utilization(name, averageUtilization, service, path)
  }
  if (averageValue === undefined) throw new ManifestProblem([...path, 'averageValue'], 'is missing')
  const amount = name === 'cpu' ? nanoCpus(averageValue) : memoryBytes(averageValue)
  if (!amount) {
    throw new ManifestProblem([...path, 'averageValue'], `"${averageValue}" is no quantity above 0`)
  }
  return name === 'cpu' ? { NanoCpus: amount } : { MemoryBytes: amount }
}

const utilization = (
  name: 'cpu' | 'memory',
  percent: number,
  service: ServiceSpec,
  path: Path,
): Targets => {
  const bases = shareBases(service)
  if ((name === 'cpu' ? bases.nanoCpus : bases.memoryBytes) === 0) {
    const text = `is a share of the ${name} that the container requests, or of its limit: give it one in resources`
    throw new ManifestProblem(path, text)
  }
  return name === 'cpu' ? { CpuPercent: percent } : { MemoryPercent: percent }
}

const windowOf = ({ scaleUp, scaleDown }: NonNullable<AutoscalerV2['spec']['behavior']> = {}) => {
  requireDefaults(scaleUp, UP_POLICIES, ['spec', 'behavior', 'scaleUp'])
  requireDefaults(scaleDown, DOWN_POLICIES, ['spec', 'behavior', 'scaleDown'])
  if (scaleUp?.stabilizationWindowSeconds) {
    const path = ['spec', 'behavior', 'scaleUp', 'stabilizationWindowSeconds']
    throw new ManifestProblem(path, 'must be 0: tasks are added when they are called for')
  }
  const seconds = scaleDown?.stabilizationWindowSeconds
  if (seconds === undefined) return {}
  const ScaleDownWindow = seconds * NS_PER_SECOND
  if (ScaleDownWindow > SCALE_DOWN_WINDOW_MAX_NS) {
    const path = ['spec', 'behavior', 'scaleDown', 'stabilizationWindowSeconds']
    throw new ManifestProblem(path, 'must be 3600 at most')
  }
  return { ScaleDownWindow }
}

/** An object that was read back from a cluster names the defaults. Other rules are not known here. */
const requireDefaults = (
  given: ScaleRules | undefined,
  policies: readonly string[],
  path: Path,
): void => {
  const named = given?.policies?.map(
    ({ type, value, periodSeconds }) => `${type} ${value} ${periodSeconds}`,
  )
  if (named !== undefined && String(named.sort()) !== String([...policies].sort())) {
    const known = policies.map((one) => one.replace(/ 15$/, ' in 15 s')).join(', ')
    throw new ManifestProblem(
      [...path, 'policies'],
      `is not supported, but for the default: ${known}`,
    )
  }
  if (given?.selectPolicy !== undefined && given.selectPolicy !== 'Max') {
    throw new ManifestProblem([...path, 'selectPolicy'], 'must be "Max"')
  }
}
