// The end of a run. First a core heals that can decide, while all others are gone: it must go on. Then all heal, and must agree.

import type { Control } from '../../../src/manager/control/control.ts'
import { encodeObject } from '../../../src/manager/store/codec.ts'
import { COMPACT_STEP_ENTRIES } from '../../../src/raft/node-options.ts'
import type { Clients } from './clients.ts'
import type { Host, World } from './host.ts'
import { isQuorum } from './manager-checker.ts'
import { StateHash } from './state-hash.ts'

/** The core elects a leader and writes within this; then all agree within that, milliseconds. */
const CORE_MS = 30_000
const ALL_MS = 60_000
/** By then each snapshot is there, or given up; milliseconds. */
const REST_MS = 30_000
/** Entries of the last moments, which are compacted with those that follow. */
const UNSETTLED_ENTRIES = 32
/** So few entries are in so few segments: what is kept, the one in use, and a spare one. */
const KEEP_SHORT = 50
const FILES_MAX = 6
const KINDS = ['cluster', 'node', 'service', 'task', 'network', 'secret', 'config'] as const

export interface SettlementDeps {
  world: World
  hosts: readonly Host[]
  clients: Clients
  /** Lets time pass, until something is so or the time is over. */
  advance: (ms: number, isDone?: () => boolean) => Promise<boolean>
}

export class Settlement {
  readonly #deps: SettlementDeps
  /** Who has to go on alone. */
  #core: Host[] = []
  #probe = 0

  constructor(deps: SettlementDeps) {
    this.#deps = deps
  }

  async run(): Promise<void> {
    const { world, hosts } = this.#deps
    this.#core = this.#chooseCore()
    const isCore = (host: Host) => this.#core.includes(host)
    world.trace.note(`core ${this.#core.map(({ id }) => id).join(' ')}`)
    for (const host of hosts) if (!isCore(host)) host.isFrozen = true
    for (const host of hosts) if (!isCore(host)) host.crash()
    this.#calm(this.#core)
    await this.#converge('the core', this.#core, CORE_MS)
    for (const host of hosts) host.isFrozen = false
    this.#calm(hosts)
    await this.#converge('all', hosts, ALL_MS)
    if (world.random() < 0.5) {
      world.trace.note('all crash at once')
      for (const host of hosts) host.crash()
      this.#calm(hosts)
      await this.#converge('all after a power failure', hosts, ALL_MS)
    }
    await this.#readAll()
    const members = hosts.filter((host) => this.#isMember(host))
    const excesses = () => members.flatMap((host) => this.#excessOf(host) ?? [])
    // A member that just came back need not be complete by now: the log is held until its snapshot is there.
    await this.#deps.advance(REST_MS, () => excesses().length === 0)
    for (const excess of excesses()) throw world.checker.fail(excess)
  }

  /** At rest a log holds what slow followers may need, and not more. */
  #excessOf({ id, life, disk }: Host): string | undefined {
    const { faults } = this.#deps.world
    if (!life?.started) return undefined
    const { firstIndex, lastIndex } = life.runtime.raftStatus()
    const keep = faults.keepEntriesMax
    const kept = lastIndex - firstIndex + 1
    const keptMax = keep + Math.min(COMPACT_STEP_ENTRIES, keep) + UNSETTLED_ENTRIES
    if (kept > keptMax) return `${id} keeps ${kept} entries, ${keptMax} would do`
    return keep < KEEP_SHORT && disk.fileCount > FILES_MAX
      ? `${id} keeps ${disk.fileCount} files for ${kept} entries`
      : undefined
  }

  /** Faults end for these, and those that are down start. */
  #calm(hosts: readonly Host[]): void {
    const { network } = this.#deps.world
    network.heal()
    Object.assign(network.deps.faults, { loss: 0, duplication: 0, delayMs: 1 })
    for (const host of hosts) {
      host.disk.isFull = false
      host.life?.process.resume()
      host.boot()
    }
  }

  /** A random set that can decide by every configuration that some of its members may still act on. */
  #chooseCore(): Host[] {
    const { world, hosts } = this.#deps
    const usable = hosts.filter(({ state, disk }) => state === 'manager' && disk.rottenBits === 0)
    const order = usable
      .map((host) => ({ host, rank: world.random() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ host }) => host)
    const configurations = world.checker.recentMemberships()
    const core: Host[] = []
    for (const host of order) {
      if (configurations.every((one) => isQuorum(new Set(core.map(({ id }) => id)), one))) break
      core.push(host)
    }
    return core
  }

  /** A change of members that was under way may be completed by the core, which then may not be enough any more. */
  #extendCore(): void {
    const { world, hosts } = this.#deps
    const { membership } = world.checker
    while (membership && !isQuorum(new Set(this.#core.map(({ id }) => id)), membership)) {
      const more = hosts.find(
        (host) =>
          !this.#core.includes(host) &&
          host.state === 'manager' &&
          membership.voters.includes(host.id),
      )
      if (more === undefined) return
      world.trace.note(`core and ${more.id}`)
      this.#core.push(more)
      more.isFrozen = false
      this.#calm([more])
    }
  }

  /** These have one leader, take a write at each of them, and hold the same. */
  async #converge(who: string, hosts: readonly Host[], limitMs: number): Promise<void> {
    const { world, advance } = this.#deps
    const deadline = world.clock.nowMs + limitMs
    const left = new Set(hosts)
    for (const host of hosts) if (host.state === 'manager') this.#write(host, left)
    const isDone = () => {
      if (hosts === this.#core) this.#extendCore()
      for (const host of left) if (!this.#isMember(host)) left.delete(host)
      return left.size === 0 && this.#agree(hosts)
    }
    // What the membership manager still does is awaited: it looks twice a second.
    while (world.clock.nowMs < deadline) {
      if ((await advance(deadline - world.clock.nowMs, isDone)) && (await this.#stays(isDone)))
        return
    }
    throw world.checker.fail(`${who} did not agree: ${this.#describe(hosts)}`)
  }

  async #stays(isDone: () => boolean): Promise<boolean> {
    await this.#deps.advance(1_500)
    return isDone()
  }

  /** A write by the API of this manager, again and again until one is acknowledged. */
  #write(host: Host, left: Set<Host>): void {
    const { world, clients } = this.#deps
    if (!left.has(host)) return
    this.#probe += 1
    const name = `probe-${this.#probe}`
    const run = (control: Control) => control.createConfig({ Name: name, Data: 'cHJvYmU=' })
    clients.ask(host, { name, run }).then(
      () => left.delete(host),
      () => world.clock.after(100, () => this.#write(host, left)),
    )
  }

  #isMember({ id, state }: Host): boolean {
    const { membership } = this.#deps.world.checker
    return state === 'manager' && (membership?.voters.includes(id) ?? false)
  }

  /** Every voter of these has applied and holds the same, and one of them leads. */
  #agree(hosts: readonly Host[]): boolean {
    const { checker } = this.#deps.world
    const members = hosts.filter((host) => this.#isMember(host))
    const statuses = members.map(({ life }) => (life?.started ? life.runtime.raftStatus() : null))
    const [first] = statuses
    if (!first || checker.membership?.outgoing.length !== 0) return false
    for (const status of statuses) {
      if (status?.applied !== first.applied || status.lastIndex !== first.applied) return false
      if (status.leaderId !== first.leaderId) return false
    }
    if (!members.some(({ life }) => life?.runtime.isLeader)) return false
    // A snapshot that is being taken over counts as applied before the store shows it: they may differ for a moment.
    return new Set(members.map((host) => digestOf(host))).size === 1
  }

  async #readAll(): Promise<void> {
    const { hosts, clients, advance, world } = this.#deps
    for (const target of clients.targets) {
      for (const host of hosts.filter((one) => this.#isMember(one))) {
        let isRead = false
        void clients.read(host, target).then((answer) => {
          isRead = answer !== undefined
        })
        if (!(await advance(ALL_MS, () => isRead))) {
          throw world.checker.fail(`${host.id} does not answer in the end`)
        }
      }
    }
  }

  #describe(hosts: readonly Host[]): string {
    const one = (host: Host) => {
      const { id, state, life } = host
      if (!life?.started) return `${id} ${state} down`
      const { role, term, applied, committed, lastIndex, leaderId, voters } =
        life.runtime.raftStatus()
      return `${id} ${state} ${digestOf(host)} ${role} of ${leaderId} term ${term} applied ${applied}/${committed}/${lastIndex} voters ${voters}`
    }
    const { membership } = this.#deps.world.checker
    return `${hosts.map(one).join('; ')}; committed voters ${membership?.voters}`
  }
}

/** All that a manager's store shows. */
function digestOf({ life }: Host): string {
  const view = life?.runtime.store.view()
  const hash = new StateHash()
  for (const kind of KINDS) {
    for (const object of view?.list(kind) ?? []) {
      hash.set(`${kind}/${object.ID}`, encodeObject(object))
    }
  }
  return hash.value
}
