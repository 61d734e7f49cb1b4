// A cluster of whole managers (the runtime that the daemon runs, on its real log) on virtual time, with a network, disks and clocks
// that fail as the seed says; then a core that heals and must go on, and a quiet end in which all must agree.

import type { ManagersList } from '../../../src/api/assignment.ts'
import { managersList } from '../../../src/manager/dispatcher/managers-list.ts'
import { seededRandom, VirtualClock } from '../raft/virtual-clock.ts'
import { Chaos } from './chaos.ts'
import { Clients } from './clients.ts'
import { Host, type World } from './host.ts'
import { checkLinearizable } from './linearizability.ts'
import { ManagerChecker } from './manager-checker.ts'
import { drawManagerFaults, type ManagerFaults } from './manager-faults.ts'
import { objectModel, withoutUnseen } from './object-model.ts'
import { Settlement } from './settlement.ts'
import { SimulatedNetwork } from './simulated-network.ts'
import { Trace } from './trace.ts'

/** The first manager may take this long to lead, milliseconds. */
const FIRST_LEADER_MS = 10_000

/** How often everything happened in a run. */
export type RunCounts = Record<string, number>

export class ManagerSimulation {
  readonly seed: number
  readonly trace: Trace
  readonly checker = new ManagerChecker()
  readonly faults: ManagerFaults
  readonly #random: () => number
  readonly #clock = new VirtualClock()
  readonly #network: SimulatedNetwork
  readonly #hosts: Host[] = []
  readonly #world: World
  readonly #touched = new Set<Host>()
  readonly #clients: Clients
  readonly #chaos: Chaos
  #isFaulty = false
  #idCount = 0

  /** `print` gets each line of the trace as it happens. */
  constructor(seed: number, print?: (line: string) => void) {
    this.seed = seed
    const clock = this.#clock
    const random = seededRandom(seed)
    this.#random = random
    this.trace = new Trace(() => clock.nowMs, print)
    this.faults = drawManagerFaults(random)
    this.trace.note(JSON.stringify(this.faults))
    const { loss, duplication, delayMs, ordered } = this.faults
    this.#network = new SimulatedNetwork({
      ...{ clock, random, trace: this.trace, faults: { loss, duplication, delayMs, ordered } },
    })
    this.#world = {
      ...{ clock, random, trace: this.trace, network: this.#network, checker: this.checker },
      ...{ faults: this.faults, isFaulty: () => this.#isFaulty },
      newId: () => this.#newId(),
      managersToldTo: (host) => this.#managersToldTo(host),
      onCrash: (host) => this.#chaos.crash(host),
      onKilled: (host) => this.#chaos.onKilled(host),
      onTouched: (host) => void this.#touched.add(host),
    }
    this.#clients = new Clients({
      ...{ clock, random, trace: this.trace, checker: this.checker, faults: this.faults },
      ...{ hosts: () => this.#hosts, isFaulty: () => this.#isFaulty },
    })
    this.#chaos = new Chaos({
      ...{ world: this.#world, hosts: this.#hosts, clients: this.#clients },
      addHost: () => this.#addHost(),
    })
  }

  /** Runs faults, then the healing; throws what first went wrong. */
  async run(): Promise<RunCounts> {
    const onError = (error: unknown) => {
      this.checker.fail(`nobody caught: ${String((error as Error)?.stack ?? error)}`)
    }
    process.on('unhandledRejection', onError)
    process.on('uncaughtException', onError)
    try {
      await this.#begin()
      this.#isFaulty = true
      this.#clients.start()
      this.#chaos.start()
      await this.#advance(this.faults.faultyMs)
      this.#isFaulty = false
      await this.#settle()
      this.#checkHistories()
    } finally {
      process.off('unhandledRejection', onError)
      process.off('uncaughtException', onError)
    }
    return this.#counts()
  }

  get hosts() {
    return this.#hosts
  }

  get targets() {
    return this.#clients.targets
  }

  // ---- time ----

  async #advance(ms: number, isDone: () => boolean = () => false): Promise<boolean> {
    const until = this.#clock.nowMs + ms
    while (!isDone()) {
      if (!this.#clock.step(until)) {
        this.#clock.nowMs = until
        return isDone()
      }
      // Lets every promise that this event settled run before the next event.
      await new Promise((resolve) => setImmediate(resolve))
      this.#inspect()
    }
    return true
  }

  /** What the processes that ran have become. */
  #inspect(): void {
    for (const host of this.#touched) {
      const { life } = host
      if (!life?.started || !life.process.alive) continue
      this.checker.onStatus(life.runtime.raftStatus(), host.record.latest)
    }
    this.#touched.clear()
    if (this.checker.failure !== undefined) throw this.checker.failure
  }

  // ---- the run ----

  async #begin(): Promise<void> {
    const first = this.#addHost()
    first.boot()
    if (!(await this.#advance(FIRST_LEADER_MS, () => first.life?.runtime.isLeader ?? false))) {
      throw this.checker.fail('the first manager does not lead')
    }
    for (let count = 1; count < this.faults.managers; count += 1) {
      const host = this.#addHost()
      void this.#chaos.admit(host)
    }
    const isComplete = () => this.checker.membership?.voters.length === this.faults.managers
    // Some begin to fail while they still find each other.
    if (this.#random() < 0.7 && !(await this.#advance(FIRST_LEADER_MS, isComplete))) {
      throw this.checker.fail('the managers do not find each other')
    }
  }

  async #settle(): Promise<void> {
    const settlement = new Settlement({
      ...{ world: this.#world, hosts: this.#hosts, clients: this.#clients },
      advance: (ms, isDone) => this.#advance(ms, isDone),
    })
    await settlement.run()
  }

  #checkHistories(): void {
    for (const { name, kind, history: recorded } of this.#clients.targets) {
      const history = withoutUnseen(recorded)
      const verdict = checkLinearizable(objectModel, history)
      if (verdict.kind === 'linearizable') continue
      const done = new Set(verdict.kind === 'violation' ? verdict.best : [])
      const rest = history
        .filter((_, at) => !done.has(at))
        .map(
          ({ operation, called, returned }) => `${called}-${returned} ${JSON.stringify(operation)}`,
        )
      throw this.checker.fail(
        `the history of ${kind} ${name} is not linearizable (${verdict.kind}); after ${done.size} of ${history.length} operations nothing fits of:\n${rest.slice(0, 20).join('\n')}`,
      )
    }
  }

  #counts(): RunCounts {
    const disks = { torn: 0, ioErrors: 0, rolls: 0 }
    for (const { disk } of this.#hosts) {
      disks.torn += disk.tornWrites
      disks.ioErrors += disk.ioErrors
      disks.rolls += disk.rolls
    }
    return {
      events: this.trace.count,
      ...this.checker.counts,
      ...this.#clients.counts,
      ...disks,
      ...this.#chaos.counts,
    }
  }

  #addHost(): Host {
    const host = new Host(this.#world, this.#hosts.length + 1)
    this.#hosts.push(host)
    return host
  }

  #managersToldTo(host: Host): ManagersList | undefined {
    const network = this.#network
    const leader = this.#hosts.find(
      ({ id, life }) =>
        life?.started &&
        life.process.alive &&
        !life.process.isPaused &&
        life.runtime.isLeader &&
        network.isOpen(id, host.id) &&
        network.isOpen(host.id, id),
    )
    const store = leader?.life?.runtime.store
    return store && managersList(store.view())
  }

  #newId(): string {
    this.#idCount += 1
    return `id${String(this.#idCount).padStart(23, '0')}`
  }
}
