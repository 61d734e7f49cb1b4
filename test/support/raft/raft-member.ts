// One member of a simulated cluster: what survives its crashes, and the lives that its process has.

import type { Clock } from '../../../src/raft/clock.ts'
import type { CoreOptions } from '../../../src/raft/core-options.ts'
import { memberIds } from '../../../src/raft/membership.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../../src/raft/memory-state-storage.ts'
import type { MemoryWal } from '../../../src/raft/memory-wal.ts'
import { RaftNode } from '../../../src/raft/node.ts'
import type { RaftStatus } from '../../../src/raft/node-status.ts'
import { CheckedWal, CheckedWalDisk } from './checked-wal-disk.ts'
import { HistoryMachine } from './history-machine.ts'
import { type LifeRecord, newLifeRecord } from './raft-checker.ts'
import { TICK_MS, ticksOf } from './raft-faults.ts'
import type { RaftWorld } from './raft-world.ts'

const encoder = new TextEncoder()

/** One run of the process. */
export interface Life {
  readonly node: RaftNode
  readonly machine: HistoryMachine
  readonly wal: MemoryWal
  readonly state: MemoryStateStorage
  readonly record: LifeRecord
  alive: boolean
  started: boolean
  deliver: ((from: string, message: Uint8Array) => void) | undefined
  peerClosed: ((id: string) => void) | undefined
}

export class RaftMember {
  readonly id: string
  readonly isInitial: boolean
  readonly disks: CheckedWalDisk[] = []
  readonly #world: RaftWorld
  #stateDisk = new MemoryStateDisk()
  life: Life | undefined
  pausedUntilMs = 0
  slowUntilMs = 0
  /** Nothing brings it back before the end. */
  isDown = false
  isRemoved = false
  /** How fast its clock goes: 2 is half as fast as it should. */
  clockFactor = 1
  /** Its disk is slower than an election, always. */
  isSlow = false

  constructor(world: RaftWorld, id: string, isInitial: boolean) {
    this.#world = world
    this.id = id
    this.isInitial = isInitial
    this.#newDisks()
  }

  get walDisk(): CheckedWalDisk {
    const disk = this.disks.at(-1)
    if (disk === undefined) throw new Error('a member without a disk')
    return disk
  }

  get isEmpty(): boolean {
    return this.walDisk.lastIndex === 0
  }

  /** Whether its stored state, which a crash leaves, knows a member. */
  hasStored(id: string): boolean {
    const membership = this.#stateDisk.meta?.membership
    return membership === undefined || memberIds(membership).includes(id)
  }

  get status(): RaftStatus | undefined {
    const { life } = this
    return life?.started === true ? life.node.status() : undefined
  }

  get isPaused(): boolean {
    return this.pausedUntilMs > this.#world.clock.nowMs
  }

  #newDisks(): void {
    this.disks.push(new CheckedWalDisk(this.id, this.disks.length, this.#world.checker))
    this.#stateDisk = new MemoryStateDisk()
  }

  boot(): void {
    if (this.life !== undefined || this.isDown) return
    const { world, life } = { world: this.#world, life: newLife() }
    const clock = this.#clockOf(life)
    const wal = new CheckedWal({ disk: this.walDisk, clock, syncMs: () => this.#syncMs() })
    const { flushDelayMs, accessMs, viewBytesMax } = world.faults
    const state = new MemoryStateStorage({
      ...{ disk: this.#stateDisk, clock, flushDelayMs, viewBytesMax },
      accessMs: () => world.random() * accessMs,
    })
    const machine = new HistoryMachine(this.id, world.checker)
    const isInitial = this.isInitial && this.disks.length === 1
    const node = new RaftNode(
      {
        ...{ wal, state, stateMachine: machine, clock, random: world.random },
        transport: this.#transportOf(life),
        log: { info: () => {}, warn: () => {} },
        onFatal: (error) => this.#onFatal(error, life),
        onRemoved: () => {
          this.isRemoved = true
        },
      },
      {
        ...{ id: this.id, tickMs: TICK_MS, core: this.#coreOptions() },
        keepEntriesMax: world.faults.keepEntriesMax,
        ...(isInitial && { initialVoters: world.initialVoters }),
      },
    )
    Object.assign(life, { node, machine, wal, state })
    this.life = life
    node.start().then(
      () => {
        life.started = true
        world.touch(this)
      },
      (error) => this.#onFatal(error, life),
    )
  }

  /** The process ends; some of what was not synced got to the disk nevertheless. */
  crash(): void {
    const { life } = this
    if (life === undefined) return
    const { random, clock } = this.#world
    life.alive = false
    life.wal.crash(Math.floor(random() * 3))
    life.state.crash()
    this.walDisk.failing = false
    this.life = undefined
    this.#world.touch(this)
    for (const peer of this.#world.members.values()) {
      if (random() < 0.5) continue
      clock.after(random() * 10, () =>
        this.#world.enter(peer, () => peer.life?.peerClosed?.(this.id)),
      )
    }
  }

  /** Removed from the cluster, it lost everything, and waits to be added again. */
  wipe(): void {
    this.crash()
    this.#newDisks()
    this.isRemoved = false
    this.boot()
  }

  receive(from: string, message: Uint8Array): void {
    this.#world.enter(this, () => this.life?.deliver?.(from, message))
  }

  #clockOf(life: Life): Clock {
    const { clock } = this.#world
    // A paused process does nothing, and all of its timers are late by then.
    const delayOf = (ms: number) =>
      Math.max(ms * this.clockFactor, this.pausedUntilMs - clock.nowMs)
    const own = clock.clockFor(() => life.alive, delayOf)
    const after = (delayMs: number, callback: () => void) =>
      own.after(delayMs, () => this.#world.enter(this, callback))
    return { after, defer: (callback) => after(0, callback) }
  }

  #syncMs(): number {
    const { random, faults, clock } = this.#world
    const { electionTicks, syncMs } = faults
    if (this.#world.isCalm) return random() * 2
    const isSlow = this.isSlow || this.slowUntilMs > clock.nowMs
    return isSlow ? random() * electionTicks * 150 : random() * syncMs
  }

  #transportOf(life: Life) {
    return {
      send: (to: string, message: Uint8Array) => {
        if (life.alive) this.#world.network.send(this.id, to, message)
      },
      onMessage: (handler: (from: string, message: Uint8Array) => void) => {
        life.deliver = handler
      },
      onPeerClosed: (handler: (id: string) => void) => {
        life.peerClosed = handler
      },
    }
  }

  /** Only a disk that was made to fail may end a process; it comes back with what was synced. */
  #onFatal(error: Error, life: Life): void {
    if (!life.alive) return
    const isDisk = 'code' in error && error.code === 'RAFT_STORAGE_FAILED'
    if (!isDisk) {
      this.#world.fail(error)
      return
    }
    this.crash()
    this.#world.clock.after(50, () => this.boot())
  }

  #coreOptions(): Partial<CoreOptions> {
    const { electionTicks, appendBytesMax, inflightMessagesMax, applyBytesMax } = this.#world.faults
    return { ...ticksOf(electionTicks), appendBytesMax, inflightMessagesMax, applyBytesMax }
  }

  /** What `initialVoters` wants to know of it. */
  get asVoter(): { id: string; context: Uint8Array } {
    return { id: this.id, context: encoder.encode(`${this.id}.host`) }
  }
}

function newLife(): Life {
  return {
    ...{ alive: true, started: false, deliver: undefined, peerClosed: undefined },
    record: newLifeRecord(),
  } as unknown as Life
}
