// What goes wrong, and what an operator does meanwhile: managers come, go, are demoted, restarted and replaced.

import { SwarmctlError } from '../../../src/api/errors.ts'
import type { Control } from '../../../src/manager/control/control.ts'
import type { Clients } from './clients.ts'
import type { Host, Life, World } from './host.ts'
import { isQuorum } from './manager-checker.ts'

/** As the daemon: a demoted manager waits to be taken out of the group before it forgets everything. */
const DEMOTE_WAIT_MS = 10_000
const DEMOTE_POLL_MS = 100
/** A graceful stop that takes longer is killed, as systemd does; it is patient for much longer. */
const STOP_LIMIT_MS = 5_000
/** What was proposed and not answered is decided by then, if there is a leader. */
const UNCLEAR_MS = 2_000
/** An operator looks whether what he asked for was done. */
const RETRY_MS = 500
/** The leader's loops get something to do about this often. */
const WORK_MS = 800
const HOSTS_MAX = 12
const MANAGERS_MAX = 7

export interface ChaosDeps {
  world: World
  hosts: readonly Host[]
  clients: Clients
  addHost: () => Host
}

export class Chaos {
  readonly counts = {
    ...{ crashes: 0, blackouts: 0, partitions: 0, pauses: 0, resets: 0, fullDisks: 0, rots: 0 },
    ...{ damaged: 0, lostDisks: 0, restarts: 0, demotions: 0, promotions: 0, leaves: 0, jumps: 0 },
    ...{ services: 0, bulk: 0, kills: 0 },
  }
  readonly #deps: ChaosDeps
  readonly #leaving = new Set<Host>()
  #serviceCount = 0

  constructor(deps: ChaosDeps) {
    this.#deps = deps
  }

  start(): void {
    const { actMs, services, bulkBytes } = this.#world.faults
    this.#plan(actMs, () => this.#act())
    this.#world.checker.onMembersChange = (id) => this.#onMembersChange(id)
    if (services) this.#plan(WORK_MS, () => void this.#changeService())
    if (bulkBytes > 0) this.#plan(WORK_MS / 2, () => void this.#storeBulk())
  }

  /** The process of a host ends; it comes back after a while, in the quiet end at once. */
  crash(host: Host, withinMs = this.#world.faults.faultMs): void {
    const { clock, random, trace, isFaulty } = this.#world
    if (host.life === undefined) return
    this.counts.crashes += 1
    trace.note(`${host.id} crashes`)
    host.crash()
    if (host.state === 'lost') {
      this.counts.damaged += 1
      void this.#replace(host)
      return
    }
    clock.after(isFaulty() ? random() * withinMs : 100, () => host.boot())
  }

  /** The process of a host died in the middle of a call. */
  onKilled(host: Host): void {
    this.counts.kills += 1
    this.crash(host)
  }

  /** The operator lets a node join as a manager: its admission writes its object, then its manager starts. */
  async admit(host: Host): Promise<void> {
    while (
      !(await this.#atLeader((life) =>
        life.runtime.store.update((tx) => tx.put('node', host.node())),
      ))
    ) {
      await this.#sleep(RETRY_MS)
    }
    host.boot()
  }

  get #world(): World {
    return this.#deps.world
  }

  /** Does something again and again, at random times around a mean. */
  #plan(meanMs: number, action: () => void): void {
    const { clock, random, isFaulty } = this.#world
    clock.after(random() * 2 * meanMs, () => {
      if (!isFaulty()) return
      action()
      this.#plan(meanMs, action)
    })
  }

  #act(): void {
    const { random, faults } = this.#world
    const happens = (probability: number) => random() < probability
    const any = this.#pick(this.#deps.hosts)
    // Half of what happens happens to the leader: there it hurts most.
    const host = happens(0.5) ? any : (this.#leader() ?? any)
    if (host === undefined) return
    if (happens(faults.crash)) this.crash(host)
    if (happens(faults.blackout)) this.#blackout()
    if (happens(faults.partition)) this.#partition()
    if (happens(faults.pause)) this.#pause(host)
    if (happens(faults.reset)) this.#reset()
    if (happens(faults.diskFull)) this.#fillDisk(host)
    if (happens(faults.rot)) this.#rot(host)
    if (happens(faults.lostDisk)) this.#loseDisk(host)
    if (happens(faults.clockJump)) this.#jump(host)
    if (happens(faults.restart)) void this.#restart(host)
    if (happens(faults.demote)) void this.#demote(host)
    if (happens(faults.leave)) void this.#leave(host)
    if (happens(faults.promote)) void this.#promote()
  }

  // ---- faults ----

  /** A change that only its leader knows to be committed is where members can lose each other. */
  #onMembersChange(id: string): void {
    const { clock, random, faults, isFaulty } = this.#world
    const host = this.#deps.hosts.find((one) => one.id === id)
    if (host === undefined || !isFaulty() || random() >= faults.killAtChange) return
    clock.after(0, () => {
      if (random() < 0.5) this.crash(host)
      else this.#blackout()
    })
  }

  #blackout(): void {
    this.counts.blackouts += 1
    for (const host of this.#deps.hosts) this.crash(host, this.#world.faults.faultMs / 4)
  }

  #pause(host: Host): void {
    const { random, trace, faults } = this.#world
    const ms = random() * faults.faultMs
    trace.note(`${host.id} pauses ${ms.toFixed(0)} ms`)
    this.counts.pauses += 1
    host.life?.process.pause(ms)
  }

  #reset(): void {
    this.counts.resets += 1
    this.#world.network.reset()
  }

  #jump(host: Host): void {
    const { random, trace } = this.#world
    const offsetMs = (random() * 2 - 1) * 3_600_000
    trace.note(`${host.id} clock set to ${offsetMs.toFixed(0)}`)
    this.counts.jumps += 1
    host.setClock(offsetMs)
  }

  #fillDisk(host: Host): void {
    const { clock, random, trace, faults } = this.#world
    trace.note(`${host.id} disk full`)
    this.counts.fullDisks += 1
    host.disk.isFull = true
    clock.after(random() * 2 * faults.faultMs, () => {
      host.disk.isFull = false
    })
  }

  #partition(): void {
    const { clock, random, trace, network, faults } = this.#world
    const ids = this.#deps.hosts.map(({ id }) => id)
    const alone = this.#leader()?.id
    const side =
      random() < 0.3 && alone !== undefined
        ? new Set([alone])
        : new Set(ids.filter(() => random() < 0.5))
    const isOneWay = random() < faults.asymmetric
    const links = ids.flatMap((a) =>
      ids
        .filter((b) => side.has(a) !== side.has(b) && (!isOneWay || side.has(a)))
        .map((b) => `${a} ${b}`),
    )
    if (links.length === 0) return
    this.counts.partitions += 1
    trace.note(`cut ${links.join(', ')}`)
    network.heal()
    network.separate(links)
    clock.after(random() * 2 * faults.faultMs, () => network.heal())
  }

  /** Found at the next start, which comes before anything else is damaged. */
  #rot(host: Host): void {
    if (host.life === undefined || !this.#mayDamage(host) || !host.disk.rot()) return
    this.counts.rots += 1
    this.crash(host)
  }

  #loseDisk(host: Host): void {
    if (!this.#mayDamage(host) || host.life === undefined) return
    this.counts.lostDisks += 1
    host.state = 'lost'
    this.crash(host)
  }

  /** Damage is budgeted: whatever was committed must be left on a majority of all who may decide. */
  #mayDamage(host: Host): boolean {
    const { checker } = this.#world
    const { membership } = checker
    if (membership === undefined || membership.voters.length < 3) return false
    if (membership.outgoing.length > 0 || host.state !== 'manager') return false
    if (this.#leaving.size > 0 || !this.#isSettled(host)) return false
    return this.#isWhole()
  }

  /**
   * Enough of the others know for certain that the last change of members is committed. Before that its only witness may be the one
   * that is lost, and the others wait for votes of those who voted before the change.
   */
  #isSettled(without: Host): boolean {
    const { membership, membershipIndex } = this.#world.checker
    if (membership === undefined) return false
    const certain = this.#deps.hosts.filter(
      (host) => host !== without && host.record.durable.hardState.commit >= membershipIndex,
    )
    return isQuorum(new Set(certain.map(({ id }) => id)), membership)
  }

  /** Nobody who may decide has lost anything. */
  #isWhole(): boolean {
    const { membership } = this.#world.checker
    const isWhole = ({ id, state, disk }: Host) =>
      !membership?.voters.includes(id) || (state === 'manager' && disk.rottenBits === 0)
    return this.#deps.hosts.every(isWhole)
  }

  // ---- what an operator does ----

  async #restart(host: Host): Promise<void> {
    const { life } = host
    if (!life?.started) return
    this.counts.restarts += 1
    this.#world.trace.note(`${host.id} stops gracefully`)
    await this.#stop(life)
    if (host.life === life) this.crash(host, 100)
  }

  /** Ends a manager as the daemon does, but not for ever. */
  async #stop(life: Life): Promise<void> {
    const { clock } = this.#world
    await new Promise<void>((resolve) => {
      clock.after(STOP_LIMIT_MS, resolve)
      life.process.enter(0, () => void life.runtime.stop().then(resolve, resolve))
    })
  }

  async #demote(host: Host): Promise<void> {
    // Who sends away another while one is lost may end without a majority: no fault of the managers.
    if (this.#leaving.has(host) || !this.#isWhole()) return
    this.#leaving.add(host)
    if (!(await this.#setRole(host, 'worker')) && !(await this.#isDemoted(host))) return
    this.counts.demotions += 1
    await this.#becomeWorker(host)
  }

  /** Whether a demotion without an answer took effect. Until that is certain nobody else may go. */
  async #isDemoted(host: Host): Promise<boolean> {
    while (this.#world.isFaulty()) {
      await this.#sleep(UNCLEAR_MS)
      if (await this.#hasRole(host, 'worker')) return true
      if (!(await this.#hasRole(host, 'manager'))) continue
      this.#leaving.delete(host)
      return false
    }
    return false
  }

  /** `swarm leave --force` of a manager. */
  async #leave(host: Host): Promise<void> {
    const { life } = host
    if (!life?.started || this.#leaving.has(host) || !this.#isWhole()) return
    this.#leaving.add(host)
    const isAsked = await new Promise<boolean>((resolve) => {
      this.#world.clock.after(RETRY_MS * 20, () => resolve(false))
      life.process.enter(0, () => {
        life.runtime.requestLeader('manager.step-down', {}).then(
          () => resolve(true),
          () => resolve(false),
        )
      })
    })
    if (!isAsked || !(await this.#hasRole(host, 'worker'))) {
      if (!(await this.#isDemoted(host))) return
    }
    this.counts.leaves += 1
    await this.#becomeWorker(host)
  }

  /** What Member does when the node's role changes: wait to be taken out, then forget everything. */
  async #becomeWorker(host: Host): Promise<void> {
    const { isFaulty, trace } = this.#world
    for (let waitedMs = 0; waitedMs < DEMOTE_WAIT_MS; waitedMs += DEMOTE_POLL_MS) {
      await this.#sleep(DEMOTE_POLL_MS)
      if (!isFaulty()) return
      if (host.life?.started && host.life.runtime.isRemoved) break
      // A process that begins anew waits anew.
      if (!host.life?.started) waitedMs = 0
    }
    // Its certificate of a worker comes from the leader.
    while (!(await this.#hasRole(host, 'worker'))) {
      await this.#sleep(RETRY_MS)
      if (!isFaulty()) return
    }
    trace.note(`${host.id} becomes a worker`)
    host.state = 'worker'
    const { life } = host
    if (life) await this.#stop(life)
    host.crash()
    host.wipe()
    this.#leaving.delete(host)
  }

  async #promote(): Promise<void> {
    const { hosts, addHost } = this.#deps
    const { random, isFaulty } = this.#world
    const managers = hosts.filter(({ state }) => state === 'manager').length
    if (managers >= MANAGERS_MAX) return
    const isWorker = (host: Host) => host.state === 'worker' && !this.#leaving.has(host)
    const worker = this.#pick(hosts.filter(isWorker))
    if (worker !== undefined && random() < 0.5) {
      if (!(await this.#setRole(worker, 'manager')) || !isFaulty()) return
      this.counts.promotions += 1
      worker.state = 'manager'
      worker.boot()
      return
    }
    if (hosts.length >= HOSTS_MAX) return
    this.counts.promotions += 1
    await this.admit(addHost())
  }

  /** A manager whose log is gone is taken out, and another joins for it. */
  async #replace(host: Host): Promise<void> {
    const { isFaulty, checker, trace } = this.#world
    trace.note(`${host.id} is lost`)
    const isMember = () => {
      const { voters = [], learners = [] } = checker.membership ?? {}
      return voters.includes(host.id) || learners.includes(host.id)
    }
    while (isMember()) {
      await this.#sleep(RETRY_MS)
      if (!isFaulty()) return
      await this.#setRole(host, 'worker')
    }
    host.wipe()
    if (this.#deps.hosts.length < HOSTS_MAX + 4) await this.admit(this.#deps.addHost())
  }

  /** A node's role as the API sets it; an agent then reports what the node has become. */
  async #setRole(host: Host, role: 'manager' | 'worker'): Promise<boolean> {
    const run = async (control: Control): Promise<boolean> => {
      const node = await control.getNode(host.id)
      if (node.Spec.Role !== role) {
        await control.updateNode(host.id, node.Version.Index, { ...node.Spec, Role: role })
      }
      return true
    }
    const asked = this.#pickStarted()
    if (asked === undefined) return false
    const name = `make ${host.id} a ${role}`
    this.#world.trace.note(`at ${asked.id}: ${name}`)
    return this.#deps.clients.ask(asked, { name, run }).then(
      () => true,
      (error) => this.#refused(name, error),
    )
  }

  /** What the leader's store says of a node. */
  #hasRole(host: Host, role: 'manager' | 'worker'): Promise<boolean> {
    return this.#atLeader(async (life) => {
      await life.runtime.store.readBarrier()
      const node = life.runtime.store.view().get('node', host.id)
      if (node?.Spec.Role !== role) throw new SwarmctlError('UNAVAILABLE', 'another role')
    })
  }

  async #changeService(): Promise<void> {
    const { random } = this.#world
    const asked = this.#pickStarted()
    if (asked === undefined) return
    const Name = `work-${Math.floor(random() * 3)}`
    const Replicas = Math.floor(random() * 4)
    const isRemoval = random() < 0.3
    const spec = {
      ...{ Name, Mode: { Replicated: { Replicas } } },
      TaskTemplate: { ContainerSpec: { Image: 'nginx:1' } },
    }
    this.#serviceCount += 1
    const run = async (control: Control): Promise<void> => {
      const found = await control.getService(Name).catch(() => undefined)
      if (found === undefined) await control.createService(spec)
      else if (isRemoval) await control.removeService(Name)
      else await control.updateService(Name, found.Version.Index, spec)
      this.counts.services += 1
    }
    const name = `service ${this.#serviceCount}`
    await this.#deps.clients.ask(asked, { name, run }).catch((error) => this.#refused(name, error))
  }

  /** One of a few large objects is replaced. */
  async #storeBulk(): Promise<void> {
    const { random, faults } = this.#world
    const asked = this.#pickStarted()
    if (asked === undefined) return
    const Name = `bulk-${Math.floor(random() * 12)}`
    const Data = Buffer.alloc(faults.bulkBytes, Name).toString('base64')
    const run = async (control: Control): Promise<void> => {
      const found = await control.getConfig(Name).catch(() => undefined)
      if (found !== undefined) await control.removeConfig(Name)
      else await control.createConfig({ Name, Data })
      this.counts.bulk += 1
    }
    await this.#deps.clients
      .ask(asked, { name: Name, run })
      .catch((error) => this.#refused(Name, error))
  }

  /** An operator's request may be refused; it may not fail for what is nobody's fault. */
  #refused(name: string, error: unknown): false {
    const isOperating = error instanceof SwarmctlError && error.code !== 'INTERNAL'
    if (!isOperating) {
      this.#world.checker.fail(`${name}: ${String((error as Error)?.stack ?? error)}`)
    } else this.#world.trace.note(`${name}: ${error.message}`)
    return false
  }

  /** Runs something in the leader's process; false when there is none, or it failed, or it takes too long. */
  #atLeader(run: (life: Life) => Promise<unknown>): Promise<boolean> {
    const life = this.#leader()?.life
    if (life === undefined) return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#world.clock.after(RETRY_MS * 20, () => resolve(false))
      life.process.enter(0, () => {
        run(life).then(
          () => resolve(true),
          (error) => resolve(this.#refused('at the leader', error)),
        )
      })
    })
  }

  #leader(): Host | undefined {
    return this.#deps.hosts.find((host) => host.life?.started && host.life.runtime.isLeader)
  }

  /** Any manager whose process is up. */
  #pickStarted(): Host | undefined {
    return this.#pick(this.#deps.hosts.filter(({ life }) => life?.started))
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.clock.after(ms, resolve))
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#world.random() * items.length)]
  }
}
