import type { Autoscale } from '../autoscale.ts'
import { AUTOSCALE_MIN, SCALE_DOWN_WINDOW_MAX_NS } from '../defaults.ts'
import { invalid } from '../errors.ts'
import { clampReplicas, replicasOf, shareBases, withReplicas } from '../replicas.ts'
import type { ServiceSpec } from '../service-spec.ts'

/** Bounds and targets that can be kept. @throws SwarmctlError INVALID_ARGUMENT */
export const requireAutoscale = (spec: ServiceSpec): void => {
  const { Autoscale } = spec.Swarmctl ?? {}
  if (Autoscale === undefined) return
  const { Min = AUTOSCALE_MIN, Max, ScaleDownWindow = 0 } = Autoscale
  if (spec.Mode?.Replicated === undefined) {
    throw invalid('Swarmctl.Autoscale: only a replicated service has a number of tasks to choose')
  }
  if (Max < Min) throw invalid(`Swarmctl.Autoscale: Max ${Max} is less than Min ${Min}`)
  if (ScaleDownWindow > SCALE_DOWN_WINDOW_MAX_NS) {
    throw invalid('Swarmctl.Autoscale: ScaleDownWindow must be an hour at most')
  }
  requireTargets(Autoscale, spec)
}

const requireTargets = (autoscale: Autoscale, spec: ServiceSpec): void => {
  const { CpuPercent, MemoryPercent, NanoCpus, MemoryBytes } = autoscale
  const targets = [CpuPercent, MemoryPercent, NanoCpus, MemoryBytes]
  if (targets.every((target) => target === undefined)) {
    throw invalid(
      'Swarmctl.Autoscale: a target is missing: CpuPercent, MemoryPercent, NanoCpus or MemoryBytes',
    )
  }
  if (CpuPercent !== undefined && NanoCpus !== undefined) {
    throw invalid('Swarmctl.Autoscale: CpuPercent and NanoCpus are two targets for one thing')
  }
  if (MemoryPercent !== undefined && MemoryBytes !== undefined) {
    throw invalid('Swarmctl.Autoscale: MemoryPercent and MemoryBytes are two targets for one thing')
  }
  const bases = shareBases(spec)
  if (CpuPercent !== undefined && bases.nanoCpus === 0) throw needsBase('CpuPercent', 'CPUs')
  if (MemoryPercent !== undefined && bases.memoryBytes === 0) {
    throw needsBase('MemoryPercent', 'memory')
  }
}

const needsBase = (field: string, noun: string) =>
  invalid(
    `Swarmctl.Autoscale: ${field} is of the ${noun} that a task reserves, or of its limit: give it one`,
  )

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
