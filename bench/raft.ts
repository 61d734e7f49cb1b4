/**
 * `npm run bench:raft`: swarmctl's managers beside etcd, on the same machine in one run, in turn.
 * docs/benchmarks-raft.md says how it is measured and what it does not say.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCount, readFormat, readNames, readOneOf } from './support/options.ts'
import { ClientProcess } from './support/raft/client-process.ts'
import { EtcdCluster } from './support/raft/etcd.ts'
import type { EtcdClientName, SubjectName } from './support/raft/job.ts'
import { ManagerCluster } from './support/raft/managers.ts'
import { BenchNetwork } from './support/raft/network.ts'
import {
  formatTables,
  type LoadLine,
  type Results,
  type Sample,
  toJson,
} from './support/raft/report.ts'
import { DEFAULT_ROWS, type LoadRow, ROWS, type Row, STEADY_LOAD } from './support/raft/rows.ts'
import {
  type Fact,
  measureCore,
  measureFailover,
  measureMemory,
  measureSnapshot,
  measureStart,
  untilHealthy,
} from './support/raft/special-rows.ts'
import { MEMBERS, type RaftSubject } from './support/raft/subject.ts'
import { runMain } from './support/run-main.ts'

const ROUNDS = 5
/** Of the row about memory. */
const WRITES = 10_000_000
const SUBJECTS: readonly SubjectName[] = ['etcd', 'swarmctl']
const ETCD_CLIENTS: readonly EtcdClientName[] = ['http2', 'grpc-js']
const USAGE = `usage: npm run bench:raft -- [--rounds ${ROUNDS}] [--rows ${ROWS.map(({ name }) => name).join(',')}] [--subjects ${SUBJECTS.join(',')}] [--etcd-client ${ETCD_CLIENTS.join('|')}] [--writes ${WRITES}] [--format table|json]`

interface Options {
  readonly rounds: number
  readonly rows: readonly Row[]
  readonly subjects: readonly SubjectName[]
  readonly etcdClient: EtcdClientName
  readonly writes: number
  readonly format: 'table' | 'json'
}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(ROUNDS) },
      rows: { type: 'string' },
      subjects: { type: 'string' },
      'etcd-client': { type: 'string', default: 'http2' },
      writes: { type: 'string', default: String(WRITES) },
      format: { type: 'string', default: 'table' },
    },
  })
  const names = readNames(
    'rows',
    values.rows,
    ROWS.map(({ name }) => name),
    DEFAULT_ROWS.map(({ name }) => name),
  )
  return {
    rounds: readCount('rounds', values.rounds),
    rows: ROWS.filter(({ name }) => names.includes(name)),
    subjects: readNames('subjects', values.subjects, SUBJECTS),
    etcdClient: readOneOf('etcd-client', values['etcd-client'], ETCD_CLIENTS),
    writes: readCount('writes', values.writes),
    format: readFormat(values.format),
  }
}

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** One whole run. Clusters are made anew for each round and each special row. */
class Run {
  readonly #options: Options
  readonly #network: BenchNetwork
  readonly #directory: string
  readonly #rounds = new Map<LoadRow, Partial<Record<SubjectName, Sample>>[]>()
  readonly #failover: Partial<Record<SubjectName, number[]>> = {}
  readonly #facts: { title: string; facts: readonly Fact[] }[] = []
  readonly #failures: string[] = []

  constructor(options: Options, network: BenchNetwork, directory: string) {
    this.#options = options
    this.#network = network
    this.#directory = directory
  }

  async loads(): Promise<void> {
    const rows = this.#options.rows.filter((row) => row.kind === 'load')
    if (rows.length === 0) return
    for (let round = 1; round <= this.#options.rounds; round += 1) {
      say(`round ${round} of ${this.#options.rounds}`)
      for (const row of rows) this.#rounds.set(row, [...(this.#rounds.get(row) ?? []), {}])
      // Who comes first alternates, so that nobody always finds the fresher machine.
      const { subjects } = this.#options
      for (const name of round % 2 === 1 ? subjects : [...subjects].reverse()) {
        const what = `round ${round} of ${name}`
        await this.#attempt(what, () =>
          this.#with(this.#subject(name), (_, client) => this.#loadAll(name, client, rows)),
        )
      }
    }
  }

  async special(row: Exclude<Row, LoadRow>): Promise<void> {
    say(row.title)
    const [network, directory, { kind }] = [this.#network, this.#directory, row]
    const { subjects, writes } = this.#options
    const ours = (run: (subject: ManagerCluster, client: ClientProcess) => Promise<Fact[]>) =>
      this.#with(new ManagerCluster(network, directory), run)
    if (kind === 'failover') {
      for (const name of subjects) {
        await this.#attempt(`${row.name} of ${name}`, async () => {
          this.#failover[name] = await this.#with(this.#subject(name), (subject, client) =>
            measureFailover(subject, client, say),
          )
        })
      }
      return
    }
    if (!subjects.includes('swarmctl')) return
    await this.#attempt(row.name, async () => {
      const facts = await {
        core: () => measureCore(network, directory),
        snapshot: () => measureSnapshot(network, directory),
        start: () => ours(measureStart),
        memory: () => ours((subject, client) => measureMemory(subject, client, writes, say)),
      }[kind]()
      this.#facts.push({ title: row.title, facts })
      for (const { label, value, unit } of facts) say(`  ${label}: ${value.toFixed(1)} ${unit}`)
    })
  }

  results(): Results {
    const loads: LoadLine[] = [...this.#rounds].map(([row, rounds]) => ({ row, rounds }))
    const [failover, facts, failures] = [this.#failover, this.#facts, this.#failures]
    return { loads, failover, facts, failures }
  }

  async #loadAll(
    name: SubjectName,
    client: ClientProcess,
    rows: readonly LoadRow[],
  ): Promise<void> {
    await this.#attempt(`the steady load of ${name}`, async () => {
      await client.load(STEADY_LOAD)
    })
    for (const row of rows) {
      const round = this.#rounds.get(row)?.at(-1)
      await this.#attempt(`${row.name} of ${name}`, async () => {
        const before = await untilHealthy(client)
        const result = await client.load(row.load)
        const after = await untilHealthy(client)
        let syncs = 0
        after.forEach(({ syncCount }, at) => {
          syncs += syncCount - (before[at]?.syncCount ?? 0)
        })
        if (round) round[name] = { ...result, syncsPerOperation: syncs / result.totalCount }
        say(
          `  ${name} ${row.name}: ${result.perSecond.toFixed(0)}/s, p50 ${result.p50Ms.toFixed(2)} ms, p99 ${result.p99Ms.toFixed(1)} ms, ${result.cpuUs.toFixed(0)} µs CPU`,
        )
      })
    }
  }

  async #with<S extends RaftSubject, T>(
    subject: S,
    run: (subject: S, client: ClientProcess) => Promise<T>,
  ): Promise<T> {
    const client = new ClientProcess(this.#network)
    try {
      await subject.start()
      await client.open(subject.target(), this.#options.etcdClient)
      await untilHealthy(client)
      return await run(subject, client)
    } catch (error) {
      say(subject.logTails())
      throw error
    } finally {
      client.close()
      await subject.stop()
    }
  }

  /** What can't be measured is told by name, and the rest goes on. */
  async #attempt(what: string, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      const failure = `${what}: ${(error as Error).message}`
      say(`  failed: ${failure}`)
      this.#failures.push(failure)
    }
  }

  #subject(name: SubjectName): RaftSubject {
    return name === 'etcd'
      ? new EtcdCluster(this.#network, this.#directory)
      : new ManagerCluster(this.#network, this.#directory)
  }
}

/** From the shell's convention: 128 + the signal's number. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

const main = async (options: Options): Promise<void> => {
  for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES)) {
    process.once(signal, () => process.exit(code))
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('this needs Linux and root: it makes network namespaces')
  }
  const directory = mkdtempSync(join(tmpdir(), 'swraft-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const network = new BenchNetwork(MEMBERS)
  const run = new Run(options, network, directory)
  try {
    await run.loads()
    for (const row of options.rows) if (row.kind !== 'load') await run.special(row)
  } finally {
    network.close()
  }
  const results = run.results()
  process.stdout.write(
    options.format === 'json'
      ? `${JSON.stringify(toJson(results), null, 2)}\n`
      : formatTables(results),
  )
  if (results.failures.length > 0) process.exitCode = 1
}

await runMain(readOptions, USAGE, main)
