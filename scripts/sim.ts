/**
 * `npm run sim -- --seeds 20000`: simulations of whole managers and of raft alone, seed after seed, as many as one likes.
 * `--level managers|raft` one of them (both otherwise), `--from N` the first seed, `--jobs N` processes (2), `--bail` ends with the
 * first failure, `--trace` prints all that happens in each run. A failure prints what broke and the command that replays it; the exit code is then 1.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { ManagerSimulation } from '../test/support/managers/manager-simulation.ts'
import { RaftSimulation } from '../test/support/raft/raft-simulation.ts'

const SEEDS_DEFAULT = 500
const JOBS_DEFAULT = 2
/** Where looking for more makes no sense. */
const FAILURES_MAX = 10
const PROGRESS_MS = 5_000
/** A run takes a fraction of a second; one that takes this long hangs. */
const HANG_MS = 120_000

/** What one run came to. */
interface Outcome {
  readonly level: Level
  readonly seed: number
  /** Of all that happened: the same whenever the seed is run. */
  readonly trace: string
  /** What broke. */
  readonly broken?: string
  /** How often things happened. */
  readonly counts?: Readonly<Record<string, number>>
}

type Level = 'managers' | 'raft'
const LEVELS: readonly Level[] = ['managers', 'raft']

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: String(SEEDS_DEFAULT) },
    from: { type: 'string', default: '1' },
    level: { type: 'string' },
    jobs: { type: 'string', default: String(JOBS_DEFAULT) },
    trace: { type: 'boolean', default: false },
    bail: { type: 'boolean', default: false },
    /** Internal: runs every `jobs`-th seed, and tells the outcome of each as a line. */
    worker: { type: 'string' },
  },
})
const seeds = numberOf('seeds')
const from = numberOf('from')
const jobs = Math.min(numberOf('jobs'), seeds)
const levels = LEVELS.filter((level) => values.level === undefined || values.level === level)
if (levels.length === 0) throw new Error(`--level is one of ${LEVELS.join(', ')}`)

if (values.worker !== undefined) await work(Number(values.worker))
else if (values.trace) await trace()
else process.exitCode = await coordinate()

function numberOf(name: 'seeds' | 'from' | 'jobs'): number {
  const number = Number(values[name])
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} is a number from 1`)
  return number
}

/** Runs one seed at one level. */
async function run(level: Level, seed: number, print?: (line: string) => void): Promise<Outcome> {
  if (level === 'managers') {
    const simulation = new ManagerSimulation(seed, print)
    const counts = await simulation.run().catch(messageOf)
    const trace = simulation.trace.digest()
    return { level, seed, trace, ...(typeof counts === 'string' ? { broken: counts } : { counts }) }
  }
  const simulation = new RaftSimulation(seed)
  const broken = await simulation.run().catch(messageOf)
  const { acknowledgedCount: done, termCount: terms } = simulation.checker
  const trace = simulation.traceHash
  return { level, seed, trace, ...(broken ? { broken } : { counts: { done, terms } }) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** In a process of its own: every `jobs`-th seed. */
async function work(offset: number): Promise<void> {
  for (let seed = from + offset; seed < from + seeds; seed += jobs) {
    for (const level of levels) {
      process.stdout.write(`${JSON.stringify({ level, seed })}\n`)
      process.stdout.write(`${JSON.stringify(await run(level, seed))}\n`)
    }
  }
}

/** Prints everything that happens. */
async function trace(): Promise<void> {
  const print = (line: string) => process.stdout.write(`${line}\n`)
  for (let seed = from; seed < from + seeds; seed += 1) {
    for (const level of levels) {
      const outcome = await run(level, seed, print)
      print(describe(outcome))
      if (outcome.broken !== undefined) process.exitCode = 1
    }
  }
}

/** Spreads the seeds over processes, and tells how it goes. */
async function coordinate(): Promise<number> {
  const startMs = performance.now()
  const totals = new Map(
    levels.map((level) => [level, { runs: 0, counts: {} as Record<string, number> }]),
  )
  const failures: Outcome[] = []
  const children: ReturnType<typeof spawn>[] = []
  const take = (outcome: Outcome) => {
    const total = totals.get(outcome.level)
    if (total === undefined) return
    total.runs += 1
    for (const [name, count] of Object.entries(outcome.counts ?? {})) {
      total.counts[name] = (total.counts[name] ?? 0) + count
    }
    if (outcome.broken === undefined) return
    failures.push(outcome)
    say(describe(outcome))
    if (values.bail || failures.length >= FAILURES_MAX) for (const child of children) child.kill()
  }
  const progress = () => {
    const runs = levels.map((level) => `${level} ${totals.get(level)?.runs}`).join(', ')
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
    say(`${runs} of ${seeds} seeds from ${from}, ${failures.length} failed, ${seconds} s`)
  }
  const timer = setInterval(progress, PROGRESS_MS)
  await Promise.all(Array.from({ length: jobs }, (_, offset) => runWorker(offset, children, take)))
  clearInterval(timer)
  progress()
  for (const [level, { counts }] of totals) say(`${level}: ${JSON.stringify(counts)}`)
  return failures.length === 0 ? 0 : 1
}

function runWorker(
  offset: number,
  children: ReturnType<typeof spawn>[],
  take: (outcome: Outcome) => void,
): Promise<void> {
  // Known defects are put into the sources while they are loaded (test/mutation).
  const mutated = join(import.meta.dirname, '../test/mutation/load-mutated.ts')
  const flags = process.env.MUTATION === undefined ? [] : ['--import', mutated]
  const args = [
    ...flags,
    import.meta.filename,
    ...process.argv.slice(2),
    '--worker',
    String(offset),
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let current: Outcome | undefined
  const fail = (broken: string) => {
    if (current !== undefined) take({ ...current, broken })
    current = undefined
  }
  const hang = () => {
    fail('the run hangs')
    child.kill('SIGKILL')
  }
  let timer = setTimeout(hang, HANG_MS)
  createInterface({ input: child.stdout }).on('line', (line) => {
    clearTimeout(timer)
    timer = setTimeout(hang, HANG_MS)
    const outcome = JSON.parse(line) as Outcome
    if (outcome.trace === undefined) current = outcome
    else {
      current = undefined
      take(outcome)
    }
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code !== 0 && signal === null) fail(`the process ended with ${code}`)
      resolve()
    })
  })
}

function describe({ level, seed, trace, broken }: Outcome): string {
  if (broken === undefined) return `${level} seed ${seed} holds, trace ${trace}`
  const replay = `npm run sim -- --level ${level} --from ${seed} --seeds 1 --trace`
  return `FAILED ${level} seed ${seed}, trace ${trace}: ${broken}\n  again: ${replay}`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
