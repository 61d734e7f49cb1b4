import type { Autoscale, AutoscaleMetric, AutoscaleReport } from '../../api/autoscale.ts'
import { SCALE_DOWN_WINDOW_NS } from '../../api/defaults.ts'
import { metricText } from '../../api/metric-text.ts'
import { clampReplicas, replicasOf } from '../../api/replicas.ts'
import type { Service } from '../../api/service.ts'
import { isUpdateOpen } from '../orchestrator/slot-plan.ts'
import type { TaskUse } from './proposal.ts'
import {
  firstHistory,
  growthCeiling,
  type ScaleHistory,
  stableFloor,
  withChange,
  withProposal,
} from './scale-history.ts'
import { measure } from './targets.ts'

const NS_PER_MS = 1_000_000
const MS_PER_SECOND = 1000

/** Another number of replicas for the service as it was looked at. */
export interface ScaleChange {
  serviceId: string
  specVersion: number
  from: number
  to: number
  reason: string
  /** RFC 3339. */
  at: string
}

/** What one look at a service leads to. */
export interface ScalePlan {
  report: AutoscaleReport
  history: ScaleHistory
  change?: ScaleChange
}

/** A number of replicas, and why. */
interface Verdict {
  to: number
  message: string
  history: ScaleHistory
}

/**
 * How many tasks a service is to have, by the use of its wanted tasks. Pure. `history` is what the last plan gave, undefined at a leader's
 * first look.
 */
export const planScale = (
  service: Service,
  uses: readonly TaskUse[],
  history: ScaleHistory | undefined,
  nowMs: number,
): ScalePlan => {
  const current = replicasOf(service.Spec) ?? 0
  const count = (kind: TaskUse['kind']) => uses.filter((use) => use.kind === kind).length
  const [starting, unknown] = [count('starting'), count('unknown')]
  const Metrics = measure(service.Spec, uses, { current, starting, unknown })
  const past = history ?? firstHistory(service, current, nowMs)
  const { to, message, history: next } = judge(service, current, Metrics, past, nowMs)
  const at = new Date(nowMs).toISOString()
  const { ID: serviceId, Swarmctl } = service
  return {
    report: {
      ServiceID: serviceId,
      At: at,
      Tasks: { Reported: count('reported'), Starting: starting, Unknown: unknown },
      Metrics,
      Message: to === current ? message : `${current} → ${to} replicas: ${message}`,
    },
    history: withChange(next, current, to, nowMs),
    ...(to !== current && {
      change: {
        ...{ serviceId, specVersion: Swarmctl.SpecVersion, from: current, to, reason: message, at },
      },
    }),
  }
}

const judge = (
  service: Service,
  current: number,
  metrics: readonly AutoscaleMetric[],
  history: ScaleHistory,
  nowMs: number,
): Verdict => {
  const { Autoscale: bounds } = service.Spec.Swarmctl ?? {}
  const rest = (message: string): Verdict => ({ to: current, message, history })
  if (bounds === undefined) return rest('the service is not scaled by demand')
  if (current === 0) return rest('rests while the service has 0 replicas')
  if (isUpdateOpen(service)) {
    return rest(`rests until the service's update is over (it is ${service.UpdateStatus?.State})`)
  }
  const within = clampReplicas(current, bounds)
  if (within !== current) return { to: within, message: 'its bounds', history }
  const strongest = metrics.reduce<AutoscaleMetric | undefined>(
    (most, metric) => ((metric.Replicas ?? 0) > (most?.Replicas ?? 0) ? metric : most),
    undefined,
  )
  if (strongest?.Replicas === undefined) {
    return rest(`stays at ${current}: the use of its tasks is not known (yet)`)
  }
  const unknown = metrics.find(({ Replicas }) => Replicas === undefined)
  // It might call for more (Kubernetes' `computeReplicasForMetrics`).
  if (unknown !== undefined && strongest.Replicas < current) {
    return rest(`stays at ${current}: ${metricText(unknown)}`)
  }
  return decide(bounds, current, strongest, strongest.Replicas, history, nowMs)
}

/** From what the targets call for to what may be done at once. */
const decide = (
  bounds: Autoscale,
  current: number,
  metric: AutoscaleMetric,
  called: number,
  history: ScaleHistory,
  nowMs: number,
): Verdict => {
  const bounded = clampReplicas(called, bounds)
  const windowMs = (bounds.ScaleDownWindow ?? SCALE_DOWN_WINDOW_NS) / NS_PER_MS
  const next = withProposal(history, bounded, nowMs, windowMs)
  const to =
    bounded > current
      ? Math.min(bounded, growthCeiling(current, next))
      : Math.min(current, stableFloor(next))
  const limits = [
    ...(called > bounded ? [`${bounds.Max} is its most`] : []),
    ...(called < bounded ? [`${bounded} is its least`] : []),
    ...(to < bounded ? ['no more at once'] : []),
    ...(to > bounded ? [`more was called for within ${windowMs / MS_PER_SECOND} s`] : []),
  ]
  const call = [`${metricText(metric)} calls for ${called}`, ...limits].join(', ')
  return { to, message: to === current ? `stays at ${current}: ${call}` : call, history: next }
}
