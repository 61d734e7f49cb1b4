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
import { median } from './support/median.ts'
import { readCount, readFormat } from './support/options.ts'
import { runMain } from './support/run-main.ts'

const ROUNDS = 100
const USAGE = `usage: npm run bench:robustness -- [--rounds ${ROUNDS}] [--format table|json]`

const readOptions = () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(ROUNDS) },
      format: { type: 'string', default: 'table' },
    },
  })
  return { rounds: readCount('rounds', values.rounds), format: readFormat(values.format) }
}

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
    const still = of.map((round) => round.recoveryMs)
    const healed = of.map((round) => round.healedMs)
    const cells = [median(still), Math.max(...still), median(healed)]
    table.push([fault, of.length, ...cells.map(Math.round)])
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

const main = async ({ rounds, format }: ReturnType<typeof readOptions>): Promise<void> => {
  await using lab = await Lab.create({ hosts: MANAGERS, name: 'robustness' })
  const say = (line: string): boolean => process.stderr.write(`${line}\n`)
  const outcome = await new Campaign(lab, say).run(rounds)
  const text = format === 'json' ? JSON.stringify(outcome, null, 2) : report(outcome)
  process.stdout.write(`${text}\n`)
  if (outcome.lost.length + outcome.violations.length > 0) process.exitCode = 1
}

await runMain(readOptions, USAGE, main)
