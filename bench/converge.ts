/**
 * `npm run bench:converge`: how fast Docker Swarm and swarmctl bring about what they are told, on the same hosts in one run, in turn.
 * docs/benchmarks.md says how it is measured and what it does not say.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { LabHost } from '../test/support/lab/host.ts'
import { Lab } from '../test/support/lab/lab.ts'
import { DockerSwarm } from './support/docker-swarm.ts'
import { removeContainers } from './support/engine-containers.ts'
import { measureFloor } from './support/floor.ts'
import { readCount, readFormat, readNames } from './support/options.ts'
import { formatTable, hasFailures, linesOf, type Measured, type Sample } from './support/report.ts'
import { ROWS, type Row } from './support/rows.ts'
import { runMain } from './support/run-main.ts'
import { type Subject, untilWhole } from './support/subject.ts'
import { Swarmctl } from './support/swarmctl.ts'

const HOSTS = 4
const ROUNDS = 5
/** Before each measurement. */
const CALM_MS = 3000
const ALL: readonly Measured[] = ['floor', 'swarm', 'swarmctl']
const USAGE = `usage: npm run bench:converge -- [--rounds ${ROUNDS}] [--rows ${ROWS.map(({ name }) => name).join(',')}] [--subjects ${ALL.join(',')}] [--format table|json]`

interface Options {
  readonly rounds: number
  readonly rows: readonly Row[]
  readonly subjects: readonly Measured[]
  readonly format: 'table' | 'json'
}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(ROUNDS) },
      rows: { type: 'string' },
      subjects: { type: 'string' },
      format: { type: 'string', default: 'table' },
    },
  })
  const names = readNames(
    'rows',
    values.rows,
    ROWS.map(({ name }) => name),
  )
  return {
    rounds: readCount('rounds', values.rounds),
    rows: ROWS.filter(({ name }) => names.includes(name)),
    subjects: readNames('subjects', values.subjects, ALL),
    format: readFormat(values.format),
  }
}

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** One whole run over the lab's hosts, which stay; clusters are made and taken apart in each round. */
class Run {
  readonly samples = new Map<string, Map<Measured, Sample[]>>()
  readonly #lab: Lab
  readonly #rows: readonly Row[]

  constructor(lab: Lab, rows: readonly Row[]) {
    this.#lab = lab
    this.#rows = rows
  }

  async floor(): Promise<void> {
    for (const row of this.#rows) {
      const { floorCount } = row
      if (floorCount === undefined) continue
      await this.#take(row, 'floor', () => measureFloor(this.#lab.hosts, floorCount))
    }
  }

  /** Every row on a fresh cluster of the subject. */
  async cluster(subject: Subject): Promise<void> {
    const { hosts } = this.#lab
    try {
      await subject.form()
      await untilWhole(subject, hosts)
    } catch (error) {
      for (const row of this.#rows) await this.#take(row, subject.name, () => Promise.reject(error))
      await this.#clean(subject)
      return
    }
    for (const row of this.#rows) {
      await this.#take(row, subject.name, () => row.measure(subject, hosts))
    }
    await this.#clean(subject)
  }

  /** The next one finds every host on and every Engine running, empty and in no cluster. */
  async #clean(subject: Subject): Promise<void> {
    const { hosts } = this.#lab
    await Promise.all(hosts.map(ensureRunning))
    await subject.disband()
    await removeContainers(hosts)
  }

  async #take(row: Row, who: Measured, measure: () => Promise<number>): Promise<void> {
    let sample: Sample
    // The kernel still takes apart what the last one ran.
    await sleep(CALM_MS)
    try {
      sample = { ms: await measure() }
      say(`  ${who} ${row.name}: ${(sample.ms / 1000).toFixed(2)} s`)
    } catch (error) {
      sample = { failure: (error as Error).message }
      say(`  ${who} ${row.name}: failed: ${sample.failure}`)
    }
    const of = this.samples.get(row.name) ?? new Map<Measured, Sample[]>()
    this.samples.set(row.name, of)
    of.set(who, [...(of.get(who) ?? []), sample])
  }
}

const ensureRunning = async (host: LabHost): Promise<void> => {
  if (!host.isOn) await host.reboot()
  else if (!host.engine.process?.isRunning) await host.startEngine()
}

const main = async (options: Options): Promise<void> => {
  await using lab = await Lab.create({ hosts: HOSTS, name: 'bench' })
  const run = new Run(lab, options.rows)
  const subjects: readonly Subject[] = [new DockerSwarm(lab), new Swarmctl(lab)].filter((subject) =>
    options.subjects.includes(subject.name),
  )
  for (let round = 1; round <= options.rounds; round += 1) {
    say(`round ${round} of ${options.rounds}`)
    // Who comes first alternates, so that nobody always finds the fresher machine; the floor is between both.
    const [first, ...others] = round % 2 === 1 ? subjects : [...subjects].reverse()
    if (first !== undefined) await run.cluster(first)
    if (options.subjects.includes('floor')) await run.floor()
    for (const subject of others) await run.cluster(subject)
  }
  const lines = linesOf(options.rows, run.samples)
  const { rounds } = options
  process.stdout.write(
    options.format === 'json'
      ? `${JSON.stringify({ rounds, hosts: HOSTS, lines }, null, 2)}\n`
      : formatTable(lines),
  )
  if (hasFailures(lines)) process.exitCode = 1
}

await runMain(readOptions, USAGE, main)
