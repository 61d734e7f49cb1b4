import { AUTOSCALE_MIN } from '../../api/defaults.ts'
import { metricText } from '../../api/metric-text.ts'
import type { ServiceFacts } from './facts.ts'
import { span } from './span.ts'

/** What the autoscaler of a service saw and did last, one sentence each; none for other services. */
export const autoscaleSentences = ({
  service,
  autoscale: report,
  nowMs,
}: ServiceFacts): string[] => {
  const bounds = service.Spec.Swarmctl?.Autoscale
  if (bounds === undefined) return []
  const { Min = AUTOSCALE_MIN, Max } = bounds
  const since = (time: string): string => `${span(nowMs - Date.parse(time))} ago`
  const last = service.Swarmctl.Autoscaled
  return [
    `it is scaled by demand, ${Min} to ${Max} replicas: ${report?.Message ?? 'its autoscaler could not be asked'}${report?.At ? ` (${since(report.At)})` : ''}`,
    ...(report?.At ? [seenText(report)] : []),
    ...(last ? [`it was scaled ${since(last.At)}, ${last.From} → ${last.To}: ${last.Reason}`] : []),
  ]
}

const seenText = ({ Metrics, Tasks }: NonNullable<ServiceFacts['autoscale']>): string => {
  const parts = [
    `${Tasks.Reported} measured`,
    ...(Tasks.Starting > 0 ? [`${Tasks.Starting} just started`] : []),
    ...(Tasks.Unknown > 0 ? [`${Tasks.Unknown} of which nothing is heard`] : []),
  ]
  return `its autoscaler saw ${Metrics.map(metricText).join(', ')}; tasks: ${parts.join(', ')}`
}
