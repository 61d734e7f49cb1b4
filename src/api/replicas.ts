import type { Autoscale } from './autoscale.ts'
import { AUTOSCALE_MIN } from './defaults.ts'
import type { ServiceSpec } from './service-spec.ts'

/** How many tasks a replicated service wants; undefined for other modes. */
export const replicasOf = ({ Mode }: ServiceSpec): number | undefined =>
  Mode?.Replicated === undefined ? undefined : (Mode.Replicated.Replicas ?? 1)

/** The nearest number that an autoscaler may choose. None stays none: that pauses it. */
export const clampReplicas = (replicas: number, { Min, Max }: Autoscale): number =>
  replicas === 0 ? 0 : Math.min(Math.max(replicas, Min ?? AUTOSCALE_MIN), Max)

/** A copy of a replicated service's spec with another number of tasks. */
export const withReplicas = (spec: ServiceSpec, replicas: number): ServiceSpec => ({
  ...spec,
  Mode: { ...spec.Mode, Replicated: { ...spec.Mode?.Replicated, Replicas: replicas } },
})

/** `next` with the number of tasks that `current` has come to, within the bounds of `next`, if its autoscaler is to decide it. */
export const withReplicasOf = (next: ServiceSpec, current: ServiceSpec): ServiceSpec => {
  const bounds = next.Swarmctl?.Autoscale
  const replicas = replicasOf(current)
  if (bounds === undefined || next.Mode?.Replicated === undefined || replicas === undefined) {
    return next
  }
  return withReplicas(next, clampReplicas(replicas, bounds))
}

/** What percents are of: the CPUs (1e-9 of a core) and bytes that a task reserves, else its limits; 0: neither. */
export const shareBases = ({
  TaskTemplate: { Resources },
}: Pick<ServiceSpec, 'TaskTemplate'>): { nanoCpus: number; memoryBytes: number } => ({
  nanoCpus: Resources?.Reservations?.NanoCPUs || Resources?.Limits?.NanoCPUs || 0,
  memoryBytes: Resources?.Reservations?.MemoryBytes || Resources?.Limits?.MemoryBytes || 0,
})
