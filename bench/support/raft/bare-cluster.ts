import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { CredentialsPem } from '../../../src/pki/credentials.ts'
import { testCluster } from '../../../test/support/rpc/cluster-fixture.ts'
import type { BareAnswer, BareJob, Pauses } from './bare-job.ts'
import type { BenchNetwork } from './network.ts'
import { until } from './server-process.ts'

const MEMBER = join(import.meta.dirname, 'bare-member.ts')
const VOTERS: readonly string[] = ['a', 'b', 'c']
/** Joins later, beside the first in its namespace. */
const NEWCOMER = 'd'
const PORT = 2390
const ELECTION_TIMEOUT_MS = 20_000
const MEASURE_MS = 3_000
const WARM_UP_MS = 1_000
const CORE_CLIENTS = 256
const SNAPSHOT_CLIENTS = 16
const SNAPSHOT_TASKS = 100_000

/** What a snapshot cost those who took part. */
export interface SnapshotCost {
  readonly leader: Pauses
  readonly newcomer: Pauses
  readonly tookMs: number
  readonly writesPerSecond: number
}

class BareMember {
  readonly #child: ChildProcess
  readonly #exit: Promise<never>

  constructor(command: readonly string[]) {
    const [file, ...args] = [...command, process.execPath, MEMBER]
    this.#child = spawn(file as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#exit = new Promise((_, reject) => {
      this.#child.once('exit', (code) => reject(new Error(`a member ended with code ${code}`)))
    })
    this.#exit.catch(() => {})
  }

  async ask(job: BareJob): Promise<BareAnswer> {
    const answered = new Promise<BareAnswer>((resolve) => {
      this.#child.once('message', (answer) => resolve(answer as BareAnswer))
    })
    this.#child.send(job)
    const answer = await Promise.race([answered, this.#exit])
    if (answer.kind === 'failed') throw new Error(answer.message)
    return answer
  }

  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#exit.catch(() => {})
  }
}

/** Three members of consensus without daemons. */
export class BareCluster {
  readonly #network: BenchNetwork
  readonly #directory: string
  readonly #hasStore: boolean
  readonly #members: BareMember[] = []

  constructor(network: BenchNetwork, directory: string, hasStore: boolean) {
    this.#network = network
    this.#directory = join(directory, 'bare')
    this.#hasStore = hasStore
  }

  /** Proposals per second of the core alone, made in the leader's own process. */
  async measureCore(): Promise<number> {
    const leader = await this.#start()
    await leader.ask({ kind: 'propose', clients: CORE_CLIENTS, ms: WARM_UP_MS })
    const answer = await leader.ask({ kind: 'propose', clients: CORE_CLIENTS, ms: MEASURE_MS })
    if (answer.kind !== 'count') throw new Error('the member answered something else')
    return (answer.count * 1000) / MEASURE_MS
  }

  /** How the event loops of a leader and of a new member stand still while that one gets all of the state. */
  async measureSnapshot(): Promise<SnapshotCost> {
    const leader = await this.#start()
    await leader.ask({ kind: 'seed', count: SNAPSHOT_TASKS })
    const newcomer = await this.#add(NEWCOMER)
    const addr = this.#addrs()[NEWCOMER] as string
    const clients = SNAPSHOT_CLIENTS
    await newcomer.ask({ kind: 'watch-pauses' })
    const added = await leader.ask({ kind: 'add-member', id: NEWCOMER, addr, clients })
    const taken = await newcomer.ask({ kind: 'pauses' })
    if (added.kind !== 'added' || taken.kind !== 'pauses')
      throw new Error('the member answered something else')
    const { pauses, tookMs, writesPerSecond } = added
    return { leader: pauses, newcomer: taken.pauses, tookMs, writesPerSecond }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()))
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #start(): Promise<BareMember> {
    rmSync(this.#directory, { recursive: true, force: true })
    await Promise.all(VOTERS.map((id) => this.#add(id)))
    return until('an election', ELECTION_TIMEOUT_MS, async () => {
      for (const member of this.#members) {
        const answer = await member.ask({ kind: 'role' })
        if (answer.kind === 'role' && answer.isLeader) return member
      }
      return undefined
    })
  }

  #issued: Promise<(id: string) => Promise<CredentialsPem>> | undefined

  async #add(id: string): Promise<BareMember> {
    this.#issued ??= testCluster().then(
      (cluster) => (nodeId: string) => cluster.issue({ nodeId, role: 'manager' }),
    )
    const issue = await this.#issued
    const index = id === NEWCOMER ? 0 : VOTERS.indexOf(id)
    const member = new BareMember(this.#network.inMember(index))
    this.#members.push(member)
    const { keyPem, certPem, rootCAPem } = await issue(id)
    await member.ask({
      kind: 'start',
      start: {
        id,
        addrs: this.#addrs(),
        voters: VOTERS,
        directory: join(this.#directory, id),
        credentials: { keyPem, certPem, rootCAPem },
        hasStore: this.#hasStore,
      },
    })
    return member
  }

  #addrs(): Record<string, string> {
    const [first] = this.#network.addresses
    const voters = VOTERS.map((id, at) => [id, `${this.#network.addresses[at]}:${PORT}`])
    return Object.fromEntries([...voters, [NEWCOMER, `${first}:${PORT + 1}`]])
  }
}
