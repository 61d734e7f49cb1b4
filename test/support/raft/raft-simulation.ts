// A cluster of real nodes (the whole loop, not only the core) on virtual time, with a network and disks
// that fail as the seed says, and then a quiet end in which all must agree.

import type { CoreOptions } from '../../../src/raft/core-options.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../../src/raft/memory-state-storage.ts'
import { MemoryWal, MemoryWalDisk } from '../../../src/raft/memory-wal.ts'
import { RaftNode } from '../../../src/raft/node.ts'
import type { RaftStatus } from '../../../src/raft/node-status.ts'
import { HistoryMachine } from './history-machine.ts'
import { RaftChecker } from './raft-checker.ts'
import { drawFaults, FAULT_MS, type Faults } from './raft-faults.ts'
import { seededRandom, VirtualClock } from './virtual-clock.ts'

const encoder = new TextEncoder()

/** How long faults last, and how long the quiet end may take to agree. */
const FAULTY_MS = 8_000
const SETTLE_MS = 20_000
const VOTERS_MIN = 3
const VOTERS_MAX = 5

interface Life {
  readonly node: RaftNode
  readonly machine: HistoryMachine
  readonly wal: MemoryWal
  readonly state: MemoryStateStorage
  alive: boolean
  started: boolean
  deliver: ((from: string, message: Uint8Array) => void) | undefined
  peerClosed: ((id: string) => void) | undefined
}

interface Member {
  readonly id: string
  readonly walDisk: MemoryWalDisk
  readonly stateDisk: MemoryStateDisk
  readonly initial: boolean
  life: Life | undefined
  pausedUntilMs: number
  removed: boolean
}

export class RaftSimulation {
  readonly checker = new RaftChecker()
  readonly #random: () => number
  readonly #clock = new VirtualClock()
  readonly #faults: Faults
  readonly #members = new Map<string, Member>()
  readonly #initialVoters: { id: string; context: Uint8Array }[]
  /** Directed links that lose everything. */
  readonly #cut = new Set<string>()
  #quiet = false
  #commandCount = 0
  #memberCount = 0
  #failure: Error | undefined

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#faults = drawFaults(this.#random)
    const count = [1, 3, 3, 3, 3, 3, 5, 5][Math.floor(this.#random() * 8)] ?? 3
    this.#initialVoters = Array.from({ length: count }, () => this.#newVoter())
    for (const { id } of this.#initialVoters) this.#addMember(id, true)
  }

  /** Runs faults, then quiet; throws the first broken invariant. */
  async run(): Promise<void> {
    for (const member of this.#members.values()) this.#boot(member)
    this.#plan(25, () => this.#act())
    this.#plan(10, () => this.#client())
    await this.#advance(FAULTY_MS)
    await this.#settle()
    this.checker.checkLogsMatch(this.#disks())
  }

  // ---- time ----

  async #advance(ms: number): Promise<void> {
    const until = this.#clock.nowMs + ms
    while (this.#clock.step(until)) {
      // Lets every promise that this event settled run before the next event.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#failure !== undefined) throw this.#failure
    }
    this.#clock.nowMs = until
  }

  /** Does something again and again, at random times around a mean. */
  #plan(meanMs: number, action: () => void): void {
    this.#clock.after(this.#random() * 2 * meanMs, () => {
      if (this.#quiet) return
      action()
      this.#plan(meanMs, action)
    })
  }

  // ---- nodes ----

  #newVoter(): { id: string; context: Uint8Array } {
    this.#memberCount += 1
    const id = `n${this.#memberCount}`
    return { id, context: encoder.encode(`${id}.host`) }
  }

  #addMember(id: string, initial: boolean): Member {
    const disks = { walDisk: new MemoryWalDisk(), stateDisk: new MemoryStateDisk() }
    const member = { id, initial, ...disks, life: undefined, pausedUntilMs: 0, removed: false }
    this.#members.set(id, member)
    return member
  }

  #boot(member: Member): void {
    if (member.life !== undefined) return
    const { id, walDisk, stateDisk } = member
    const life = {
      alive: true,
      started: false,
      deliver: undefined,
      peerClosed: undefined,
    } as unknown as Life
    // A paused process does nothing, and all of its timers are late by then.
    const late = (ms: number) => Math.max(ms, member.pausedUntilMs - this.#clock.nowMs)
    const clock = this.#clock.clockFor(() => life.alive, late)
    const syncMs = () => this.#random() * this.#faults.syncMs
    const wal = new MemoryWal({ disk: walDisk, clock, syncMs })
    const state = new MemoryStateStorage({ disk: stateDisk, clock, flushDelayMs: 75 })
    const machine = new HistoryMachine(id, this.checker, walDisk)
    const fail = (error: Error) => {
      this.#failure ??= error
    }
    const node = new RaftNode(
      {
        ...{ wal, state, stateMachine: machine, clock, random: this.#random, onFatal: fail },
        transport: {
          send: (to, message) => this.#send(life, id, to, message),
          onMessage: (handler) => {
            life.deliver = handler
          },
          onPeerClosed: (handler) => {
            life.peerClosed = handler
          },
        },
        log: { info: () => {}, warn: () => {} },
        onRemoved: () => {
          member.removed = true
        },
      },
      {
        ...{ id, keepEntriesMax: this.#faults.keepEntriesMax, core: this.#coreOptions() },
        ...(member.initial && { initialVoters: this.#initialVoters }),
      },
    )
    machine.nodeTerm = () => node.status().term
    Object.assign(life, { node, machine, wal, state })
    member.life = life
    node.start().then(
      () => {
        life.started = true
        this.#inspect(member, () => {})()
      },
      (error) => {
        if (life.alive) fail(error)
      },
    )
  }

  #coreOptions(): Partial<CoreOptions> {
    const { electionTicks } = this.#faults
    const heartbeatTicks = electionTicks < 10 ? 2 : 4
    return { electionTicks, heartbeatTicks, closedLeaderTicksMax: Math.min(8, electionTicks) }
  }

  #crash(member: Member): void {
    const { life } = member
    if (life === undefined) return
    life.alive = false
    life.wal.crash(Math.floor(this.#random() * 3))
    life.state.crash()
    member.life = undefined
    this.#inspect(member, () => {})()
    this.#clock.after(this.#random() * FAULT_MS, () => this.#boot(member))
    for (const peer of this.#members.values()) {
      if (this.#random() < 0.5) continue
      this.#clock.after(this.#random() * 10, () => peer.life?.peerClosed?.(member.id))
    }
  }

  /** Wraps what changes a node with the checks of what it may have become. */
  #inspect(member: Member, action: () => void): () => void {
    return () => {
      try {
        action()
        this.checker.onDurable(member.id, member.walDisk)
        const status = statusOf(member.life)
        if (status?.role === 'leader') this.checker.onLeader(member.id, status.term, member.walDisk)
      } catch (error) {
        this.#failure ??= error as Error
      }
    }
  }

  // ---- network ----

  #send(life: Life, from: string, to: string, message: Uint8Array): void {
    if (!life.alive || this.#cut.has(`${from} ${to}`)) return
    const copies = this.#quiet || this.#random() >= this.#faults.duplication ? 1 : 2
    for (let copy = 0; copy < copies; copy += 1) {
      if (!this.#quiet && this.#random() < this.#faults.loss) continue
      const delayMs = this.#quiet ? 1 : -Math.log(1 - this.#random()) * this.#faults.delayMs
      const bytes = message.slice()
      this.#clock.after(delayMs, () => this.#deliver(from, to, bytes))
    }
  }

  #deliver(from: string, to: string, message: Uint8Array): void {
    const receiver = this.#members.get(to)
    if (receiver?.life === undefined || this.#cut.has(`${from} ${to}`)) return
    const waitMs = receiver.pausedUntilMs - this.#clock.nowMs
    if (waitMs > 0) {
      this.#clock.after(waitMs, () => this.#deliver(from, to, message))
      return
    }
    this.#inspect(receiver, () => receiver.life?.deliver?.(from, message))()
  }

  // ---- faults ----

  #act(): void {
    const { crash, storm, partition, pause, diskFull, membership, transfer } = this.#faults
    const any = this.#pick([...this.#members.values()])
    // Half of what happens happens to the leader: there it hurts most.
    const member = this.#random() < 0.5 ? any : (this.#leader() ?? any)
    if (member?.life === undefined) return
    if (this.#random() < crash) this.#crash(member)
    else if (this.#random() < storm) this.#storm(member)
    else if (this.#random() < partition) this.#partition()
    else if (this.#random() < pause) {
      member.pausedUntilMs = this.#clock.nowMs + this.#random() * FAULT_MS
    } else if (this.#random() < diskFull) this.#fillDisk(member)
    else if (this.#random() < membership) this.#changeMembers()
    else if (this.#random() < transfer) this.#transfer()
  }

  #fillDisk(member: Member): void {
    member.walDisk.full = true
    this.#clock.after(this.#random() * FAULT_MS, () => {
      member.walDisk.full = false
    })
  }

  #storm(first: Member): void {
    for (const member of this.#members.values()) {
      if (member === first || this.#random() < 0.5) this.#crash(member)
    }
  }

  #partition(): void {
    this.#cut.clear()
    this.#clock.after(this.#random() * 2 * FAULT_MS, () => this.#cut.clear())
    const ids = [...this.#members.keys()]
    const side = new Set(ids.filter(() => this.#random() < 0.5))
    const symmetric = this.#random() < 0.6
    for (const a of ids) {
      for (const b of ids) {
        if (side.has(a) === side.has(b)) continue
        if (symmetric || side.has(a)) this.#cut.add(`${a} ${b}`)
      }
    }
  }

  #transfer(): void {
    const leader = this.#leader()
    const to = this.#pick([...(statusOf(leader?.life)?.voters ?? [])])
    if (to !== undefined) leader?.life?.node.transferLeadership(to).catch(() => {})
  }

  #changeMembers(): void {
    const node = this.#leader()?.life?.node
    if (node === undefined) return
    const { voters, learners } = node.status()
    const learner = this.#pick([...learners])
    if (learner !== undefined) {
      void node.promote(learner).catch(() => {})
      return
    }
    const gone = this.#pick([...voters])
    if (voters.length > VOTERS_MIN && gone !== undefined && this.#random() < 0.5) {
      void node.removeNode(gone).catch(() => {})
      return
    }
    const { id, context } = this.#newVoter()
    this.#boot(this.#addMember(id, false))
    if (voters.length >= VOTERS_MAX && gone !== undefined) {
      // A replacement moves two voters at once: joint consensus.
      const changes = [
        { kind: 'add-voter', id, context },
        { kind: 'remove', id: gone },
      ] as const
      void node.changeMembers(changes).catch(() => {})
    } else void node.addLearner(id, context).catch(() => {})
  }

  // ---- clients ----

  #client(): void {
    const any = this.#pick([...this.#members.values()])
    const member = this.#random() < 0.5 ? any : (this.#leader() ?? any)
    const life = member?.life
    if (member === undefined || life?.started !== true || member.pausedUntilMs > this.#clock.nowMs)
      return
    if (this.#random() < 0.3) this.#read(life)
    else for (let left = Math.ceil(this.#random() * 3); left > 0; left -= 1) void this.#write(life)
  }

  async #write(life: Life): Promise<boolean> {
    this.#commandCount += 1
    const command = `c${this.#commandCount}`
    try {
      const { index, result } = await life.node.propose(encoder.encode(command))
      if (!life.alive) return false
      if (result !== command) throw new Error(`${command} got the result of ${result}`)
      this.checker.onAcknowledged(command, index)
      return true
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) this.#failure ??= error as Error
      return false
    }
  }

  #read(life: Life): void {
    const mustSee = this.checker.acknowledgedIndex
    life.node.readBarrier().then(
      () => {
        if (!life.alive || life.machine.appliedIndex >= mustSee) return
        const { appliedIndex } = life.machine
        if (life.node.status().applied >= mustSee) return
        this.#failure ??= new Error(`a read saw ${appliedIndex}, ${mustSee} was acknowledged`)
      },
      () => {},
    )
  }

  // ---- the quiet end ----

  async #settle(): Promise<void> {
    this.#quiet = true
    this.#cut.clear()
    for (const member of this.#members.values()) {
      member.walDisk.full = false
      member.pausedUntilMs = 0
    }
    const deadline = this.#clock.nowMs + SETTLE_MS
    let written = false
    while (!written || !this.#agree()) {
      if (this.#clock.nowMs >= deadline) throw new Error(`no agreement: ${this.#describe()}`)
      const leader = this.#leader()
      if (!written && leader?.life !== undefined) {
        void this.#write(leader.life).then((done) => {
          written ||= done
        })
      }
      await this.#advance(200)
    }
  }

  /** All members have applied the same, and all others know that they are none. */
  #agree(): boolean {
    const status = statusOf(this.#leader()?.life)
    if (status === undefined || status.joint) return false
    for (const [id, member] of this.#members) {
      const { life } = member
      if (life?.started !== true) return false
      if (!status.members.has(id)) continue
      if (life.node.status().applied !== status.applied) return false
      this.checker.checkNothingLost(id, life.machine.commands)
    }
    return true
  }

  #leader(): Member | undefined {
    let best: Member | undefined
    let bestTerm = -1
    for (const member of this.#members.values()) {
      const status = statusOf(member.life)
      if (status?.role !== 'leader' || status.term <= bestTerm) continue
      best = member
      bestTerm = status.term
    }
    return best
  }

  #disks(): Map<string, MemoryWalDisk> {
    return new Map([...this.#members].map(([id, { walDisk }]) => [id, walDisk]))
  }

  #describe(): string {
    const one = ({ id, life, removed }: Member) => {
      if (life?.started !== true) return `${id} down`
      const { role, term, applied, committed, lastIndex, voters, learners } = life.node.status()
      const config = `voters ${voters} learners ${learners} removed ${removed}`
      return `${id} ${role} term ${term} applied ${applied}/${committed}/${lastIndex} ${config}`
    }
    return [...this.#members.values()].map(one).join('; ')
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)]
  }
}

function statusOf(life: Life | undefined): RaftStatus | undefined {
  return life?.started === true ? life.node.status() : undefined
}
