import type { Autoscale } from '../../api/autoscale.ts'
import { SwarmctlError } from '../../api/errors.ts'
import type { Draft } from './draft.ts'
import { durationNs, parsed } from './flag-values.ts'
import type { ScalarFlag } from './scalar-flags.ts'

/** The draft's autoscaler, which then exists; `requireBounds` looks at the whole. */
const autoscaleOf = (draft: Draft): Partial<Autoscale> => {
  draft.extension.Autoscale ??= {} as Autoscale
  return draft.extension.Autoscale
}

const positive = (flag: string, value: string): number =>
  parsed(flag, value, (text) => {
    if (!/^[1-9]\d*$/.test(text)) throw new Error('must be a whole number of at least 1')
    return Number(text)
  })

/** `70` or `70%`. */
const percent = (flag: string, value: string): number => positive(flag, value.replace(/%$/, ''))

/** Flags of a service that is scaled by demand (ours). `--autoscale` stands first: what follows it begins anew. */
export const AUTOSCALE_FLAGS: readonly ScalarFlag[] = [
  {
    flags: '--autoscale',
    help: 'Let the number of tasks follow their load; --autoscale=false ends it (ours)',
    apply: (draft, value) => {
      if (value) autoscaleOf(draft)
      else delete draft.extension.Autoscale
    },
  },
  {
    flags: '--autoscale-min <n>',
    help: 'Fewest tasks (default 1; ours)',
    apply: (draft, value, flag) => {
      autoscaleOf(draft).Min = positive(flag, value)
    },
  },
  {
    flags: '--autoscale-max <n>',
    help: 'Most tasks (ours)',
    apply: (draft, value, flag) => {
      autoscaleOf(draft).Max = positive(flag, value)
    },
  },
  {
    flags: '--autoscale-cpu <percent>',
    help: 'CPU that tasks should use, of their reservation or limit, such as 70% (ours)',
    apply: (draft, value, flag) => {
      const autoscale = autoscaleOf(draft)
      delete autoscale.NanoCpus
      autoscale.CpuPercent = percent(flag, value)
    },
  },
  {
    flags: '--autoscale-memory <percent>',
    help: 'Memory that tasks should use, of their reservation or limit (ours)',
    apply: (draft, value, flag) => {
      const autoscale = autoscaleOf(draft)
      delete autoscale.MemoryBytes
      autoscale.MemoryPercent = percent(flag, value)
    },
  },
  {
    flags: '--autoscale-window <duration>',
    help: 'How long fewer tasks must have been enough before some are removed (default 5m; ours)',
    apply: (draft, value, flag) => {
      autoscaleOf(draft).ScaleDownWindow = durationNs(flag, value)
    },
  },
]

/** Refuses in the words of the flags what the manager would refuse in those of its API. */
export const requireBounds = (draft: Draft): void => {
  const autoscale: Partial<Autoscale> | undefined = draft.spec.Swarmctl?.Autoscale
  if (autoscale === undefined) return
  const { Max, CpuPercent, MemoryPercent, NanoCpus, MemoryBytes } = autoscale
  if (Max === undefined) throw new SwarmctlError('INVALID_ARGUMENT', '--autoscale-max is missing')
  if ([CpuPercent, MemoryPercent, NanoCpus, MemoryBytes].every((one) => one === undefined)) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'a target is missing: --autoscale-cpu or --autoscale-memory',
    )
  }
}

/** A number of tasks that nobody asked for is left to the autoscaler: it may have chosen another one since it was read. */
export const leaveReplicas = (draft: Draft, asked: string | undefined): void => {
  const replicated = draft.spec.Mode?.Replicated
  if (asked !== undefined || replicated === undefined) return
  if (draft.spec.Swarmctl?.Autoscale !== undefined) delete replicated.Replicas
}
