import type { Autoscale } from '../autoscale.ts'
import { AUTOSCALE_MIN, SCALE_DOWN_WINDOW_MAX_NS } from '../defaults.ts'
import { invalid } from '../errors.ts'
import { clampReplicas, replicasOf, shareBases, withReplicas } from '../replicas.ts'
import type { ServiceSpec } from '../service-spec.ts'

/** The part of a spec that says how it is scaled. */
type Scaled = Pick<ServiceSpec, 'Swarmctl' | 'Mode' | 'TaskTemplate'>

/** What keeps a service from being scaled as its spec says, in one line. */
export const autoscaleProblem = (spec: Scaled): string | undefined => {
  const { Autoscale } = spec.Swarmctl ?? {}
  if (Autoscale === undefined) return undefined
  const { Min = AUTOSCALE_MIN, Max, ScaleDownWindow = 0 } = Autoscale
  if (spec.Mode?.Replicated === undefined) {
    return 'only a replicated service has a number of tasks to choose'
  }
  if (Max < Min) return `Max ${Max} is less than Min ${Min}`
  if (ScaleDownWindow > SCALE_DOWN_WINDOW_MAX_NS) return 'ScaleDownWindow must be an hour at most'
  return targetProblem(Autoscale, shareBases(spec))
}

const targetProblem = (
  { CpuPercent, MemoryPercent, NanoCpus, MemoryBytes }: Autoscale,
  bases: ReturnType<typeof shareBases>,
): string | undefined => {
  const targets = [CpuPercent, MemoryPercent, NanoCpus, MemoryBytes]
  if (targets.every((target) => target === undefined)) {
    return 'a target is missing: CpuPercent, MemoryPercent, NanoCpus or MemoryBytes'
  }
  if (CpuPercent !== undefined && NanoCpus !== undefined) {
    return 'CpuPercent and NanoCpus are two targets for one thing'
  }
  if (MemoryPercent !== undefined && MemoryBytes !== undefined) {
    return 'MemoryPercent and MemoryBytes are two targets for one thing'
  }
  if (CpuPercent !== undefined && bases.nanoCpus === 0) return noBase('CpuPercent', 'CPUs')
  if (MemoryPercent !== undefined && bases.memoryBytes === 0) {
    return noBase('MemoryPercent', 'memory')
  }
  return undefined
}

const noBase = (field: string, noun: string): string =>
  `${field} is of the ${noun} that a task reserves, or of its limit: give it one`

/** Thrown: SwarmctlError INVALID_ARGUMENT for bounds and targets that can't be kept. */
export const requireAutoscale = (spec: ServiceSpec): void => {
  const problem = autoscaleProblem(spec)
  if (problem !== undefined) throw invalid(`Swarmctl.Autoscale: ${problem}`)
}

/** The spec with a number of replicas that its autoscaler could have chosen, and a warning when that is another one than was asked for. */
export const withinBounds = (
  spec: ServiceSpec,
  asked: number | undefined,
): { spec: ServiceSpec; warnings: string[] } => {
  const bounds = spec.Swarmctl?.Autoscale
  const replicas = replicasOf(spec)
  if (bounds === undefined || replicas === undefined) return { spec, warnings: [] }
  const clamped = clampReplicas(replicas, bounds)
  if (clamped === replicas) return { spec, warnings: [] }
  const { Min = AUTOSCALE_MIN, Max } = bounds
  return {
    spec: withReplicas(spec, clamped),
    warnings:
      asked === undefined
        ? []
        : [`${replicas} replicas are not within Swarmctl.Autoscale, ${Min} to ${Max}: ${clamped}`],
  }
}
