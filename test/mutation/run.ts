/**
 * `npm run test:mutation`: puts one known defect after the other into the sources, as they are loaded, and
 * runs the simulation until it finds it. Prints a table: the defect, the seeds that were needed, what broke.
 * `npm run test:mutation -- NAME …` tries only these; SEEDS=100 tries fewer seeds than 2,000.
 */
import { find } from './find.ts'
import { MUTATIONS } from './mutations.ts'

const SEEDS = Number(process.env.SEEDS ?? 2_000)
/** What broke is told up to here. */
const REASON_CHARACTERS = 90

const names = process.argv.slice(2)
const chosen = names.length === 0 ? MUTATIONS : MUTATIONS.filter(({ name }) => names.includes(name))
if (chosen.length < names.length) throw new Error('there is no such mutation')

process.stdout.write('| defect | known from | seeds | what broke |\n|---|---|---|---|\n')
let missed = 0
for (const mutation of chosen) {
  const { seeds, broken } = await find(mutation, SEEDS)
  if (broken === undefined) missed += 1
  const reason = broken?.slice(0, REASON_CHARACTERS) ?? 'not found'
  process.stdout.write(`| ${mutation.name} | ${mutation.reference} | ${seeds} | ${reason} |\n`)
}
process.stdout.write(`\n${chosen.length - missed} of ${chosen.length} found\n`)
process.exitCode = missed === 0 ? 0 : 1
