import type { AutoscaleMetric } from '../../api/autoscale.ts'
import { shareBases } from '../../api/replicas.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { propose, type Target, type TaskCounts, type TaskUse } from './proposal.ts'

/** One of a service's targets. */
interface NamedTarget extends Pick<AutoscaleMetric, 'Name' | 'Unit'>, Target {
  /** As the user gave it, in `Unit`. */
  given: number
  useOf(use: Extract<TaskUse, { kind: 'reported' }>): number
}

/** A thousandth of a CPU. */
const NANO_CPUS_STEP = 1_000_000

const cpuOf: NamedTarget['useOf'] = ({ nanoCpus }) => nanoCpus
const memoryOf: NamedTarget['useOf'] = ({ memoryBytes }) => memoryBytes

/** A share of what a task has. Nothing is known to use more than all of it, unless the target is higher. */
const share = (
  Name: 'cpu' | 'memory',
  useOf: NamedTarget['useOf'],
  percent: number | undefined,
  base: number,
): NamedTarget[] =>
  percent === undefined || base === 0
    ? []
    : [
        {
          ...{ Name, Unit: 'percent', given: percent, useOf },
          perTask: (base * percent) / 100,
          assumed: (base * Math.max(percent, 100)) / 100,
          step: base / 100,
        },
      ]

const amount = (
  Name: 'cpu' | 'memory',
  Unit: 'nanocpus' | 'bytes',
  step: number,
  useOf: NamedTarget['useOf'],
  target: number | undefined,
): NamedTarget[] =>
  target === undefined
    ? []
    : [{ Name, Unit, given: target, useOf, perTask: target, assumed: target, step }]

const targetsOf = (spec: ServiceSpec): NamedTarget[] => {
  const { CpuPercent, MemoryPercent, NanoCpus, MemoryBytes } = spec.Swarmctl?.Autoscale ?? {}
  const bases = shareBases(spec)
  return [
    ...share('cpu', cpuOf, CpuPercent, bases.nanoCpus),
    ...amount('cpu', 'nanocpus', NANO_CPUS_STEP, cpuOf, NanoCpus),
    ...share('memory', memoryOf, MemoryPercent, bases.memoryBytes),
    ...amount('memory', 'bytes', 1, memoryOf, MemoryBytes),
  ]
}

/**
 * Each of the service's targets, with what was measured and how many tasks it calls for. No task runs without memory: a kernel that does not count it
 * (a Raspberry Pi's as it comes) says 0.
 */
export const measure = (
  spec: ServiceSpec,
  uses: readonly TaskUse[],
  counts: TaskCounts,
): AutoscaleMetric[] => {
  const reported = uses.filter((use) => use.kind === 'reported')
  return targetsOf(spec).map((target) => {
    const { Name, Unit, given, useOf, perTask } = target
    const known = reported.map(useOf).filter((use) => Name === 'cpu' || use > 0)
    const unknown = counts.unknown + reported.length - known.length
    const wanted = propose(target, known, { ...counts, unknown })
    if (wanted === undefined) return { Name, Unit, Target: given }
    const average = known.reduce((sum, use) => sum + use, 0) / known.length
    return {
      ...{ Name, Unit, Target: given, Replicas: wanted },
      Average: Math.floor((average / perTask) * given),
    }
  })
}
