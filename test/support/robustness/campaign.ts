import { setTimeout as sleep } from 'node:timers/promises'
import { nodesByName } from '../lab/api.ts'
import { formCluster } from '../lab/cluster.ts'
import { eventually } from '../lab/eventually.ts'
import type { LabHost } from '../lab/host.ts'
import type { Lab } from '../lab/lab.ts'
import { Register, readAll } from './clients.ts'
import { FAULTS, type Fault } from './faults.ts'
import { History } from './history.ts'

export const MANAGERS = 3
/** Two clients write through each manager, so that one that waits for its answer hides no recovery. */
const WRITERS_PER_MANAGER = 2
/** A fault that strikes all lasts this long; any other until writes go on, and this much longer. */
const LINGER_MS = 500
const RECOVERY_LIMIT_MS = 120_000

/** What one round came to. */
export interface Round {
  readonly fault: string
  /** From when the fault is in force (from its end, when it strikes all) to the first write that began after that and was acknowledged. */
  readonly recoveryMs: number
  /** From the fault's end until every manager took a write again. */
  readonly healedMs: number
}

/** What a campaign came to. `violations` and `lost` are lines, none for a good one. */
export interface Outcome {
  readonly rounds: readonly Round[]
  readonly writes: number
  readonly unknown: number
  readonly reads: number
  readonly created: number
  readonly violations: readonly string[]
  readonly lost: readonly string[]
}

const leaderOf = (hosts: readonly LabHost[]): Promise<LabHost> =>
  eventually(
    async () => {
      for (const host of hosts) {
        const nodes = await nodesByName(host).catch(() => undefined)
        const leader = [...(nodes?.values() ?? [])].find((node) => node.ManagerStatus?.Leader)
        const found = hosts.find(({ name }) => name === leader?.Description.Hostname)
        if (found !== undefined) return found
      }
      return undefined
    },
    { what: 'a leader', timeoutMs: RECOVERY_LIMIT_MS },
  )

/** Managers as real processes under clients' load, struck by one fault after the other. */
export class Campaign {
  readonly #lab: Lab
  readonly #hosts: readonly LabHost[]
  readonly #registers: readonly Register[]
  readonly #history = new History()
  readonly #violations: string[] = []
  readonly #say: (line: string) => void
  #followerTurn = 0

  constructor(lab: Lab, say: (line: string) => void) {
    this.#lab = lab
    this.#hosts = lab.hosts.slice(0, MANAGERS)
    this.#say = say
    this.#registers = this.#hosts.flatMap((host) =>
      Array.from(
        { length: WRITERS_PER_MANAGER },
        (_, n) => new Register(host, `${host.name}-${n}`, this.#history),
      ),
    )
  }

  /** Rounds take the faults in turn. Rejects when the cluster does not recover. */
  async run(rounds: number): Promise<Outcome> {
    await formCluster(this.#lab, { managers: MANAGERS })
    for (const register of this.#registers) await register.create()
    let isOver = false
    const clients = [
      ...this.#registers.map((register) => register.write(() => isOver)),
      ...this.#hosts.map((host) => readAll(host, this.#registers, () => isOver)),
    ]
    const results: Round[] = []
    try {
      for (let round = 0; round < rounds; round += 1) {
        const result = await this.#round(FAULTS[round % FAULTS.length] as Fault)
        this.#violations.push(...this.#history.check())
        results.push(result)
        const [recovery, healed] = [result.recoveryMs, result.healedMs].map(Math.round)
        this.#say(
          `${round + 1}/${rounds} ${result.fault}: ${recovery} ms, whole ${healed} ms later`,
        )
      }
    } finally {
      isOver = true
      await Promise.all(clients)
    }
    return this.#outcome(results)
  }

  async #round(fault: Fault): Promise<Round> {
    const leader = await leaderOf(this.#hosts)
    const followers = this.#hosts.filter((host) => host !== leader)
    this.#followerTurn += 1
    const follower = followers[this.#followerTurn % followers.length] as LabHost
    const victims = { leader: [leader], follower: [follower], all: this.#hosts }[fault.victims]
    const others = this.#hosts.filter((host) => !victims.includes(host))
    await fault.begin(this.#lab, victims)
    // From when the fault is in force: the processes are dead, the rules are loaded.
    const beganMs = performance.now()
    const recoveredMs =
      others.length === 0 ? undefined : await this.#firstWrite(fault, beganMs, others)
    await sleep(LINGER_MS)
    const endedMs = performance.now()
    await fault.end(this.#lab, victims)
    const againMs = await Promise.all(
      this.#hosts.map((host) => this.#firstWrite(fault, endedMs, [host])),
    )
    return {
      fault: fault.name,
      recoveryMs:
        recoveredMs === undefined ? Math.min(...againMs) - endedMs : recoveredMs - beganMs,
      healedMs: Math.max(...againMs) - endedMs,
    }
  }

  #firstWrite(fault: Fault, sinceMs: number, hosts: readonly LabHost[]): Promise<number> {
    const mine = this.#registers.filter((register) => hosts.includes(register.host))
    const names = new Set(mine.map((register) => register.name))
    return eventually(async () => this.#history.firstWrite(sinceMs, names), {
      what: `${fault.name}: a write through ${hosts.map(({ name }) => name).join(' or ')}`,
      timeoutMs: RECOVERY_LIMIT_MS,
      intervalMs: 50,
    })
  }

  /** At rest: what was acknowledged must be there, by the word of every manager. */
  async #outcome(rounds: readonly Round[]): Promise<Outcome> {
    const created = this.#registers.flatMap((register) => register.created)
    const lost: string[] = []
    for (const host of this.#hosts) {
      for (const register of this.#registers) {
        const value = Number((await register.read(host))?.Spec.Labels.n)
        const expected = this.#history.acknowledged.get(register.name) ?? 0
        if (!(value >= expected)) lost.push(`${register.name} is ${value} on ${host.name}`)
      }
      const missing = async (): Promise<string[]> => {
        const answer = await host.apiRequest('/configs?stale=1')
        const configs = answer.json<{ Spec: { Name: string } }[]>()
        const names = new Set(configs.map((config) => config.Spec.Name))
        return created.filter((name) => !names.has(name))
      }
      // What it has applied itself; the last of it may be on its way.
      await eventually(async () => (await missing()).length === 0, {
        what: `${host.name} has all that was created`,
      }).catch(() => {})
      lost.push(...(await missing()).map((name) => `${name} on ${host.name}`))
    }
    const { writes, unknown, reads } = this.#history
    const violations = [...this.#violations, ...this.#history.check()]
    return { rounds, writes, unknown, reads, created: created.length, violations, lost }
  }
}
