import { median } from '../median.ts'
import type { LoadResult, SubjectName } from './job.ts'
import type { LoadRow } from './rows.ts'
import type { Fact } from './special-rows.ts'

/** One load on one side in one round. */
export interface LoadSample extends LoadResult {
  readonly syncsPerOperation: number
}

export type Sample = LoadSample | { readonly failure: string }

/** Samples of both sides, by round: a round's two belong together. */
export interface LoadLine {
  readonly row: LoadRow
  readonly rounds: readonly Readonly<Partial<Record<SubjectName, Sample>>>[]
}

export interface Results {
  readonly loads: readonly LoadLine[]
  readonly failover: Partial<Record<SubjectName, readonly number[]>>
  readonly facts: readonly { readonly title: string; readonly facts: readonly Fact[] }[]
  readonly failures: readonly string[]
}

const SUBJECTS: readonly SubjectName[] = ['etcd', 'swarmctl']
const FAILOVER_RATIO = { max: 0.5, aim: 0.25 }

/** swarmctl's rate divided by etcd's, round by round. */
export const ratiosOf = (line: LoadLine): number[] =>
  line.rounds.flatMap(({ etcd, swarmctl }) =>
    etcd !== undefined && swarmctl !== undefined && 'perSecond' in etcd && 'perSecond' in swarmctl
      ? [swarmctl.perSecond / etcd.perSecond]
      : [],
  )

/** Every number as data, with what the tables show of it. */
export const toJson = (results: Results): unknown => ({
  ...results,
  loads: results.loads.map((line) => ({ ...line, ratio: median(ratiosOf(line)) })),
})

/** The tables in Markdown. */
export const formatTables = (results: Results): string =>
  [
    ...(results.loads.length > 0 ? [loadTable(results.loads)] : []),
    ...(Object.keys(results.failover).length > 0 ? [failoverTable(results.failover)] : []),
    ...results.facts.map(({ title, facts }) => factTable(title, facts)),
    ...results.failures.map((failure) => `failed: ${failure}`),
    '',
  ].join('\n\n')

const loadTable = (lines: readonly LoadLine[]): string =>
  [
    '| | | per second (range) | p50 ms | p99 ms | servers’ CPU µs | client’s CPU µs | syncs per operation | ratio (range) | at least (aim) |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...lines.flatMap((line) => SUBJECTS.map((subject) => loadCells(line, subject))),
  ].join('\n')

const loadCells = (line: LoadLine, subject: SubjectName): string => {
  const samples = line.rounds.flatMap((round) => {
    const sample = round[subject]
    return sample !== undefined && 'perSecond' in sample ? [sample] : []
  })
  const of = (value: (sample: LoadSample) => number, digits = 0) =>
    samples.length === 0 ? '—' : median(samples.map(value)).toFixed(digits)
  const rates = samples.map(({ perSecond }) => perSecond)
  const ratios = ratiosOf(line)
  const { row } = line
  const ratio =
    subject === 'etcd' || ratios.length === 0
      ? ['', '']
      : [
          `**${median(ratios).toFixed(2)}** (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
          `${row.ratioMin} (${row.ratioAim})`,
        ]
  const cells = [
    subject === 'etcd' ? row.title : '',
    subject,
    `${of((s) => s.perSecond)}${range(rates)}`,
    of((s) => s.p50Ms, 2),
    of((s) => s.p99Ms, 1),
    of((s) => s.cpuUs),
    of((s) => s.clientCpuUs),
    of((s) => s.syncsPerOperation, 3),
    ...ratio,
  ]
  return `| ${cells.join(' | ')} |`
}

const range = (values: readonly number[]): string =>
  values.length < 2 ? '' : ` (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`

const failoverTable = (failover: Results['failover']): string => {
  const rows = SUBJECTS.flatMap((subject) => {
    const samples = failover[subject]
    if (samples === undefined) return []
    const [low, high] = [Math.min(...samples), Math.max(...samples)]
    const cells = [subject, median(samples).toFixed(0), low.toFixed(0), high.toFixed(0)]
    return [`| ${[...cells, String(samples.length)].join(' | ')} |`]
  })
  const { etcd, swarmctl } = failover
  const ratio =
    etcd === undefined || swarmctl === undefined
      ? []
      : [
          '',
          `Ratio of the medians: **${(median(swarmctl) / median(etcd)).toFixed(2)}** (at most ${FAILOVER_RATIO.max}, aim ${FAILOVER_RATIO.aim})`,
        ]
  const head = '| SIGKILL of the leader → first write | median ms | least | most | trials |'
  return [head, '|---|---|---|---|---|', ...rows, ...ratio].join('\n')
}

const factTable = (title: string, facts: readonly Fact[]): string =>
  [
    `| ${title} | | limit |`,
    '|---|---|---|',
    ...facts.map(({ label, value, unit, limit }) => {
      const bound =
        limit === undefined
          ? ''
          : `at ${limit.kind === 'max' ? 'most' : 'least'} ${limit.value} ${unit}`
      return `| ${label} | ${formatValue(value)} ${unit} | ${bound} |`
    }),
  ].join('\n')

const formatValue = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toPrecision(3)
