/**
 * `npm test`: everything, cheapest first, ending at the first section that fails; the last line is
 * `N passed, N failed`. `npm test -- test/raft/core.test.ts …` runs only these files; `--check`, `--unit`,
 * `--sim` and `--lab` only these parts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isUnsafe, tapFailures } from './tap-failures.ts'

const ROOT = resolve(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
/** Where everything has to be tested, a test that could not run is a failure. */
const IS_CI = process.env.CI === 'true'
const UNIT_TIMEOUT_S = 120
const SIMULATION_TIMEOUT_S = 600
const LAB_TIMEOUT_S = 900
/** Lab files wait more than they compute: two at a time use two cores well, more make waits run out. */
const LAB_JOBS = 2

/** Assertions of one or more tap runs. */
interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** One part of the whole; its `run` throws when the part cannot even start. */
interface Section {
  readonly title: string
  /** The flags that select it alone. */
  readonly flags: readonly string[]
  run(): Tally
}

/** What failed, told again at the end of everything. */
const failures: string[] = []

const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 }
const files = globSync('test/**/*.test.ts', { cwd: ROOT }).sort()
const simulation = files.filter((file) => file.startsWith('test/simulation/'))
const lab = files.filter((file) => file.startsWith('test/lab/'))
const unit = files.filter((file) => !simulation.includes(file) && !lab.includes(file))

process.exitCode = runAll(sectionsFor(process.argv.slice(2)))

function sectionsFor(args: readonly string[]): Section[] {
  const sections = [
    { title: 'lint (biome)', flags: ['--check'], run: () => command('biome', ['check', '.']) },
    { title: 'types (tsc)', flags: ['--check'], run: () => command('tsc', []) },
    {
      title: 'unit and contract',
      flags: ['--unit'],
      run: () => tap(unit, { timeoutS: UNIT_TIMEOUT_S, keepsCompiled: true }),
    },
    {
      title: 'simulation',
      flags: ['--sim'],
      run: () =>
        tap(simulation, {
          ...{ timeoutS: SIMULATION_TIMEOUT_S, jobs: LAB_JOBS },
          ...{ tellsFiles: true, keepsCompiled: true },
        }),
    },
    { title: 'build', flags: ['--lab'], run: () => command('node', ['scripts/build.ts']) },
    {
      title: 'lab: real hosts and Engines',
      flags: ['--lab'],
      run: () => labFiles(lab),
    },
  ]
  if (args.length === 0) return sections
  const wanted = args.filter((arg) => !arg.startsWith('--'))
  const usesLab = wanted.some((file) => file.includes('test/lab'))
  const selected = sections.filter(
    ({ title, flags }) =>
      flags.some((flag) => args.includes(flag)) || (usesLab && title === 'build'),
  )
  if (wanted.length === 0) return selected
  const title = wanted.join(' ')
  return [...selected, { title, flags: [], run: () => tap(wanted, { timeoutS: LAB_TIMEOUT_S }) }]
}

/** Runs the sections until one fails; returns the exit code. */
function runAll(sections: readonly Section[]): number {
  let total = NOTHING
  let isGood = sections.length > 0
  for (const section of sections) {
    say(`\n== ${section.title}`)
    const startMs = performance.now()
    const tally = section.run()
    total = add(total, tally)
    say(`   ${describe(tally)}, ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
    isGood = tally.failed === 0 && !(IS_CI && tally.skipped > 0)
    if (!isGood) break
  }
  if (total.skipped > 0) {
    say(`\n${total.skipped} skipped${IS_CI ? ': a failure here, where CI=true' : ''}`)
  }
  for (const failure of failures) say(`\nFAILED ${failure}`)
  const failed = total.failed + (IS_CI ? total.skipped : 0)
  say(`\n${total.passed} passed, ${failed} failed`)
  return isGood ? 0 : 1
}

/**
 * Lab files share the machine's cores with each other and with whatever else runs there. One that fails is run once more, alone: only
 * what fails twice is a failure, and what does not is named as flaky, never hidden. What must never happen gets no second attempt.
 */
function labFiles(paths: readonly string[]): Tally {
  const options = { timeoutS: LAB_TIMEOUT_S, tellsFiles: true }
  const failing: string[] = []
  let isFinal = false
  const first = tap(paths, {
    ...{ ...options, jobs: LAB_JOBS },
    onFailed: (file) => failing.push(file),
    onUnsafe: () => {
      isFinal = true
    },
  })
  if (failing.length === 0 || isFinal) return first
  say(`   once more, alone: ${failing.join(', ')}`)
  const again = tap(failing, { ...options, jobs: 1 })
  if (again.failed === 0) say(`   FLAKY, passed at the second attempt: ${failing.join(', ')}`)
  return { ...add(first, again), failed: again.failed }
}

/** How test files are run. */
interface TapOptions {
  /** For each file. */
  readonly timeoutS: number
  /** Files at a time; default: as many as there are CPUs. */
  readonly jobs?: number
  /** Say of each file how long it took. */
  readonly tellsFiles?: boolean
  /** Hundreds of processes load the same modules: what Node compiled of them is kept beside the run, a fifth of its CPU. */
  readonly keepsCompiled?: boolean
  /** Told of each file that failed. */
  readonly onFailed?: (file: string) => void
  /** Told when an assertion failed that must hold in each single run. */
  readonly onUnsafe?: () => void
}

/** Runs test files; only failures are shown. A run that ends badly without saying why counts as one failure. */
function tap(paths: readonly string[], options: TapOptions): Tally {
  if (paths.length === 0) return NOTHING
  const folder = mkdtempSync(join(tmpdir(), 'swarmctl-test-'))
  const output = join(folder, 'out.tap')
  try {
    const flags = ['--reporter', 'min', '--output-file', output]
    flags.push('--timeout', String(options.timeoutS))
    if (options.jobs !== undefined) flags.push('--jobs', String(options.jobs))
    const env = options.keepsCompiled ? { NODE_COMPILE_CACHE: join(folder, 'compiled') } : {}
    const { status } = spawn('tap', ['run', '--disable-coverage', ...flags, ...paths], env)
    const text = existsSync(output) ? readFileSync(output, 'utf8') : ''
    const tally = readTally(text)
    if (options.tellsFiles) tellFiles(text, options.onFailed)
    failures.push(...tapFailures(text))
    if (isUnsafe(text)) options.onUnsafe?.()
    return status !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A line for each file, from `ok 3 - test/lab/nodes.test.ts # time=41400ms`. */
function tellFiles(text: string, onFailed: (file: string) => void = () => {}): void {
  for (const [, verdict, file, ms] of text.matchAll(
    /^(ok|not ok) \d+ - (\S+\.test\.ts) # time=([\d.]+)ms/gm,
  )) {
    if (verdict !== 'ok' && file !== undefined) onFailed(file)
    say(`   ${verdict === 'ok' ? 'passed' : 'FAILED'} ${file}, ${(Number(ms) / 1000).toFixed(1)} s`)
  }
}

/** From tap's own last comment, `# { total: 38, pass: 36, fail: 1, skip: 1 }`. */
function readTally(text: string): Tally {
  const summary = text.split('\n').findLast((line) => line.startsWith('# { total: ')) ?? ''
  const field = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  return { passed: field('pass'), failed: field('fail'), skipped: field('skip') + field('todo') }
}

function command(program: string, args: readonly string[]): Tally {
  return spawn(program, args).status === 0 ? NOTHING : { ...NOTHING, failed: 1 }
}

/** By the project's own Node, whatever started this. */
function spawn(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(join(BIN, program), args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

function add(left: Tally, right: Tally): Tally {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  }
}

function describe({ passed, failed, skipped }: Tally): string {
  const total = passed + failed + skipped
  if (total === 0) return 'ok'
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
