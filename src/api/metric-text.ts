import type { AutoscaleMetric } from './autoscale.ts'

const BYTES_PER_MIB = 2 ** 20

const amountText = (value: number, unit: AutoscaleMetric['Unit']): string => {
  switch (unit) {
    case 'percent':
      return `${value}%`
    case 'nanocpus':
      return `${Math.round(value / 1e6) / 1e3} CPUs`
    case 'bytes':
      return `${Math.round((value / BYTES_PER_MIB) * 10) / 10}MiB`
    default:
      return unit satisfies never
  }
}

/** `cpu at 93% (target 70%)`. */
export const metricText = ({ Name, Unit, Target, Average }: AutoscaleMetric): string =>
  Average === undefined
    ? `${Name} not known (target ${amountText(Target, Unit)})`
    : `${Name} at ${amountText(Average, Unit)} (target ${amountText(Target, Unit)})`
