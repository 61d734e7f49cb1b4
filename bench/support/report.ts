import { median } from './median.ts'
import type { Row } from './rows.ts'

/** One measurement: its time in milliseconds, or why there is none. */
export type Sample = { readonly ms: number } | { readonly failure: string }

/** Who was measured; the floor has only the rows that start containers. */
export type Measured = 'floor' | 'swarm' | 'swarmctl'

/** Samples by row name and by who was measured. */
export type Samples = ReadonlyMap<string, ReadonlyMap<Measured, readonly Sample[]>>

/** A row of the result; milliseconds. Infinity stands for "most measurements failed". */
export interface Line {
  readonly row: string
  readonly title: string
  readonly medianMs: Partial<Record<Measured, number>>
  readonly samples: Partial<Record<Measured, readonly Sample[]>>
  readonly ratio?: number
  readonly ratioMax: number
  readonly floorRatio?: number
  readonly floorRatioMax?: number
}

const ALL: readonly Measured[] = ['floor', 'swarm', 'swarmctl']

/** A failed measurement counts as endless, so that failures make a median worse, never better. */
const medianMs = (samples: readonly Sample[]): number =>
  median(samples.map((sample) => ('ms' in sample ? sample.ms : Number.POSITIVE_INFINITY)))

/** The table's lines as data. */
export const linesOf = (rows: readonly Row[], samples: Samples): Line[] =>
  rows.map((row) => {
    const of = samples.get(row.name) ?? new Map<Measured, readonly Sample[]>()
    const measured = ALL.filter((who) => (of.get(who) ?? []).length > 0)
    const median = Object.fromEntries(
      measured.map((who) => [who, medianMs(of.get(who) ?? [])]),
    ) as Line['medianMs']
    const ratio = ratioOf(median.swarmctl, median.swarm)
    const floorRatio = ratioOf(median.swarmctl, median.floor)
    return {
      row: row.name,
      title: row.title,
      medianMs: median,
      samples: Object.fromEntries(measured.map((who) => [who, of.get(who) ?? []])),
      ratioMax: row.ratioMax,
      ...(ratio === undefined ? {} : { ratio }),
      ...(floorRatio === undefined ? {} : { floorRatio }),
      ...(row.floorRatioMax === undefined ? {} : { floorRatioMax: row.floorRatioMax }),
    }
  })

/** The lines as a Markdown table, as the README shows it, and every failure below it by name. */
export const formatTable = (lines: readonly Line[]): string => {
  const head = '| from → to | floor | Swarm | swarmctl | ratio to Swarm | ratio to floor |'
  const body = lines.map((line) => {
    const times = ALL.map((who) => formatTimes(line.samples[who]))
    const ratios = [
      formatRatio(line.ratio, line.ratioMax),
      line.floorRatioMax === undefined ? '' : formatRatio(line.floorRatio, line.floorRatioMax),
    ]
    return `| ${[line.title, ...times, ...ratios].join(' | ')} |`
  })
  const failures = lines.flatMap((line) =>
    ALL.flatMap((who) =>
      (line.samples[who] ?? []).flatMap((sample) =>
        'failure' in sample ? [`failed: ${line.row}, ${who}: ${sample.failure}`] : [],
      ),
    ),
  )
  return [head, '|---|---|---|---|---|---|', ...body, ...failures, ''].join('\n')
}

/** Whether anything could not be measured. */
export const hasFailures = (lines: readonly Line[]): boolean =>
  lines.some((line) =>
    Object.values(line.samples).some((samples) => samples.some((sample) => 'failure' in sample)),
  )

const ratioOf = (ms: number | undefined, ofMs: number | undefined): number | undefined =>
  ms === undefined || ofMs === undefined || !Number.isFinite(ms) || !Number.isFinite(ofMs)
    ? undefined
    : ms / ofMs

const formatTimes = (samples: readonly Sample[] | undefined): string => {
  if (samples === undefined) return ''
  const times = samples.flatMap((sample) => ('ms' in sample ? [sample.ms] : []))
  const failed = samples.length - times.length
  const note = failed === 0 ? '' : `, ${failed} of ${samples.length} failed`
  const median = medianMs(samples)
  if (!Number.isFinite(median)) return `failed${note}`
  const range =
    times.length < 2 ? '' : ` (${seconds(Math.min(...times))}–${seconds(Math.max(...times))})`
  return `${seconds(median)} s${range}${note}`
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2)

const formatRatio = (ratio: number | undefined, max: number): string =>
  ratio === undefined ? `— (at most ${max})` : `${ratio.toFixed(2)} (at most ${max})`
