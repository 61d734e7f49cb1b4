// Cores without nodes: messages and disk writes happen only when the test says so.

import assert from 'node:assert/strict'
import { RaftCore } from '../../../src/raft/core.ts'
import type { CoreOptions } from '../../../src/raft/core-options.ts'
import { createEntry, type Entry } from '../../../src/raft/entry.ts'
import { EMPTY_MEMBERSHIP, type Membership } from '../../../src/raft/membership.ts'
import type { Message } from '../../../src/raft/message.ts'
import type { PersistBatch, Ready } from '../../../src/raft/ready.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Times that the tests count in: wide apart, whatever the defaults are. */
export const TICKS = { electionTicks: 20, heartbeatTicks: 4, closedLeaderTicksMax: 8 } as const

export function bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

export function command(index: number, term: number, text = `e${index}`): Entry {
  return createEntry({ index, term }, 'command', bytes(text))
}

export interface CoreSetup {
  readonly voters: readonly string[]
  readonly learners?: readonly string[]
  readonly removed?: readonly string[]
  readonly term?: number
  readonly vote?: string | null
  readonly entries?: readonly Entry[]
  readonly commit?: number
  readonly options?: Partial<CoreOptions>
}

export function membershipOf({ voters, learners = [], removed = [] }: CoreSetup): Membership {
  const lists = { voters: [...voters].sort(), learners: [...learners].sort(), removed }
  return { ...EMPTY_MEMBERSHIP, ...lists }
}

/** A core that remembers what the setup says. Its random number is always the same: 0 for a, 0.1 for b … */
export function coreOf(id: string, setup: CoreSetup): RaftCore {
  const { term = 0, vote = null, entries = [], commit = 0 } = setup
  return new RaftCore(
    {
      ...{
        id,
        entries,
        base: { index: 0, term: 0 },
        applied: 0,
        random: () => ((id.charCodeAt(0) - 97) % 10) / 10,
      },
      hardState: { term, vote, commit },
      membership: membershipOf(setup),
    },
    { ...TICKS, ...setup.options },
  )
}

const handsOut = ({ persist, messages, committed, reads, snapshotsToSend }: Ready): boolean =>
  persist !== null || [messages, committed, reads, snapshotsToSend].some(({ length }) => length > 0)

/** One core with its disk and its outgoing messages under the test's control. */
export class Driver {
  readonly core: RaftCore
  readonly sent: Message[] = []
  readonly batches: PersistBatch[] = []
  readonly applied: Entry[] = []
  readonly reads: { token: number; index: number }[] = []
  readonly snapshotsToSend: string[] = []
  removed = false

  constructor(core: RaftCore) {
    this.core = core
  }

  /** Takes what the core hands out; what waits for the disk stays in `batches`. */
  collect(): void {
    const { hasReady } = this.core
    const ready = this.core.ready()
    assert.equal(hasReady, handsOut(ready), 'hasReady says what ready() hands out')
    if (ready.persist !== null) this.batches.push(ready.persist)
    this.sent.push(...ready.messages)
    this.reads.push(...ready.reads.map(({ token, index }) => ({ token, index })))
    this.snapshotsToSend.push(...ready.snapshotsToSend)
    this.removed ||= this.core.removed
    const last = ready.committed.at(-1)
    if (last === undefined) return
    this.applied.push(...ready.committed)
    this.core.onApplied(last.index)
    this.collect()
  }

  /** The oldest batch becomes durable. */
  persistOne(): boolean {
    const batch = this.batches.shift()
    if (batch === undefined) return false
    this.core.onAppended(batch.ioId)
    if (batch.snapshot !== null) this.core.onSnapshotInstalled()
    for (const message of batch.responses) {
      if (message.to === this.core.id) this.core.step(message)
      else this.sent.push(message)
    }
    this.collect()
    return true
  }

  /** Everything becomes durable. */
  settle(): this {
    this.collect()
    while (this.persistOne()) {
      // One after the other.
    }
    return this
  }

  step(message: Message): this {
    this.core.step(message)
    this.collect()
    return this
  }

  tick(count = 1): this {
    for (let left = count; left > 0; left -= 1) this.core.tick()
    this.collect()
    return this
  }

  /** Takes and forgets what was sent. */
  take(): Message[] {
    return this.sent.splice(0)
  }

  get commands(): string[] {
    return this.applied
      .filter(({ kind }) => kind === 'command')
      .map(({ data }) => decoder.decode(data))
  }
}

/** Several drivers whose messages are delivered in order, except over links that are cut. */
export class CoreNetwork {
  readonly drivers = new Map<string, Driver>()
  readonly #cut = new Set<string>()

  constructor(
    ids: readonly string[],
    setup: Omit<CoreSetup, 'voters'> & { voters?: string[] } = {},
  ) {
    for (const id of ids) {
      this.drivers.set(id, new Driver(coreOf(id, { voters: ids, ...setup })))
    }
  }

  get(id: string): Driver {
    const driver = this.drivers.get(id)
    if (driver === undefined) throw new Error(`no ${id}`)
    return driver
  }

  /** Delivers and persists until nothing is left to do. */
  run(): this {
    for (let moved = true; moved; ) {
      moved = false
      for (const driver of this.drivers.values()) {
        driver.settle()
        for (const message of driver.take()) {
          moved = true
          if (this.#cut.has(`${message.from} ${message.to}`)) continue
          this.drivers.get(message.to)?.step(message)
        }
      }
    }
    return this
  }

  /** Makes a node leader, without waiting for timers. */
  elect(id: string): this {
    this.get(id).core.campaign()
    return this.run()
  }

  propose(id: string, ...texts: string[]): this {
    this.get(id).core.propose(texts.map(bytes))
    return this.run()
  }

  /** The state of one, up to what it has applied, is complete on another. */
  sendSnapshot(from: string, to: string): this {
    const { core, snapshotsToSend } = this.get(from)
    snapshotsToSend.splice(snapshotsToSend.indexOf(to), 1)
    const { applied: index } = core.log
    const meta = { index, term: core.log.termAt(index) ?? 0, membership: core.membership }
    this.get(to).step({ kind: 'snapshot', from, to, term: core.term, meta })
    this.run()
    core.onSnapshotSent(to, { index })
    return this.run()
  }

  /** Nothing passes between these two, or between one and everyone. */
  cut(a: string, b?: string): this {
    const others = b === undefined ? [...this.drivers.keys()].filter((id) => id !== a) : [b]
    for (const id of others) {
      this.#cut.add(`${a} ${id}`)
      this.#cut.add(`${id} ${a}`)
    }
    return this
  }

  heal(): this {
    this.#cut.clear()
    return this
  }

  tickAll(count: number): this {
    for (let left = count; left > 0; left -= 1) {
      for (const driver of this.drivers.values()) driver.tick()
      this.run()
    }
    return this
  }

  leaders(): string[] {
    return [...this.drivers].filter(([, { core }]) => core.role === 'leader').map(([id]) => id)
  }
}
