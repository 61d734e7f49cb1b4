/**
 * `npm run bench:robustness`: three real managers under write and read load through the API; one fault after the other. No acknowledged
 * write may be lost, no read may be stale; how long writes stood still is recorded. Exit code 1 when anything was lost or stale.
 */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { Lab } from '../test/support/lab/lab.ts'
import {
  Campaign,
  MANAGERS,
  type Outcome,
  type Round,
} from '../test/support/robustness/campaign.ts'

const ROUNDS = 100
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: String(ROUNDS) },
    format: { type: 'string', default: 'table' },
  },
})
const rounds = Number(values.rounds)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}`)
if (!['table', 'json'].includes(values.format)) throw new Error(`--format ${values.format}`)

const quantile = (sorted: readonly number[], share: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number)

const formatTable = (results: readonly Round[]): string => {
  const table = new Table({
    head: [
      'fault',
      'rounds',
      'writes stand still, median ms',
      'longest ms',
      'whole again, median ms',
    ],
    style: { head: [], border: [] },
  })
  for (const [fault, of] of Map.groupBy(results, (round) => round.fault)) {
    const still = of.map((round) => round.recoveryMs).sort((a, b) => a - b)
    const healed = of.map((round) => round.healedMs).sort((a, b) => a - b)
    table.push([fault, of.length, quantile(still, 0.5), quantile(still, 1), quantile(healed, 0.5)])
  }
  return table.toString()
}

const report = (outcome: Outcome): string =>
  [
    formatTable(outcome.rounds),
    `${outcome.writes} writes acknowledged (${outcome.created} of them new objects), ${outcome.unknown} without an answer, ${outcome.reads} reads`,
    `lost: ${outcome.lost.length}, stale: ${outcome.violations.length}`,
    ...outcome.lost,
    ...outcome.violations,
  ].join('\n')

await using lab = await Lab.create({ hosts: MANAGERS, name: 'robustness' })
const outcome = await new Campaign(lab, (line) => process.stderr.write(`${line}\n`)).run(rounds)
process.stdout.write(
  `${values.format === 'json' ? JSON.stringify(outcome, null, 2) : report(outcome)}\n`,
)
if (outcome.lost.length + outcome.violations.length > 0) process.exitCode = 1
