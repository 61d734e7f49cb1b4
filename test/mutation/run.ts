/**
 * `npm run test:mutation`: puts one known defect after the other into the sources, as they are loaded, and
 * runs the simulation until it finds it. Prints a table: the defect, the seeds that were needed, what broke.
 * `npm run test:mutation -- NAME …` tries only these; SEEDS=100 fewer seeds than 2,000.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Mutation } from './mutation.ts'
import { MUTATIONS } from './mutations.ts'

const SEEDS = Number(process.env.SEEDS ?? 2_000)
/** A run takes a fraction of a second; one that takes this long hangs, which is a find as well. */
const HANG_MS = 60_000

interface Finding {
  readonly seeds: number
  readonly broken: string | undefined
}

const names = process.argv.slice(2)
const chosen = names.length === 0 ? MUTATIONS : MUTATIONS.filter(({ name }) => names.includes(name))
if (chosen.length < names.length) throw new Error('there is no such mutation')

process.stdout.write('| defect | seeds | what broke |\n|---|---|---|\n')
let missed = 0
for (const mutation of chosen) {
  const { seeds, broken } = await search(mutation)
  if (broken === undefined) missed += 1
  process.stdout.write(`| ${mutation.name} | ${seeds} | ${broken ?? 'not found'} |\n`)
}
process.stdout.write(`\n${chosen.length - missed} of ${chosen.length} found\n`)
process.exitCode = missed === 0 ? 0 : 1

function search(mutation: Mutation): Promise<Finding> {
  const file = (name: string) => join(import.meta.dirname, name)
  const child = spawn(process.execPath, ['--import', file('load-mutated.ts'), file('search.ts')], {
    env: { ...process.env, MUTATION: mutation.name, SEEDS: String(SEEDS) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    let seeds = 0
    let broken: string | undefined
    let isComplete = false
    let errors = ''
    const hang = () => {
      broken = 'the run hangs'
      isComplete = true
      child.kill('SIGKILL')
    }
    let timer = setTimeout(hang, HANG_MS)
    child.stderr.on('data', (data) => {
      errors = (errors + data).slice(-2_000)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      clearTimeout(timer)
      timer = setTimeout(hang, HANG_MS)
      if (line.startsWith('seed ')) seeds += 1
      else isComplete = true
      if (line.startsWith('broken ')) broken = line.slice('broken '.length)
    })
    child.on('close', () => {
      clearTimeout(timer)
      if (isComplete && errors.includes('mutated: ')) resolve({ seeds, broken })
      else reject(new Error(`${mutation.name} did not run: ${errors}`))
    })
  })
}
