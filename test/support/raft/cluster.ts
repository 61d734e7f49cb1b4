// Several real nodes in one process, with a network that can be cut.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RaftNode } from '../../../src/raft/node.ts'
import type { RaftNodeOptions } from '../../../src/raft/node-options.ts'
import type {
  Applied,
  RaftTransport,
  StateMachine,
  StateRestore,
} from '../../../src/raft/node-ports.ts'
import { LevelStateStorage } from '../../../src/raft/state-storage.ts'
import { FileWal, type FileWalOptions } from '../../../src/raft/wal.ts'
import { NodeWalFiles, type WalFiles } from '../../../src/raft/wal-files.ts'
import { systemClock } from './system-clock.ts'

/** Half of the default: elections take 250 to 500 ms. */
const TICK_MS = 12

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** `key=value` sets a key; the result is what the key had before. */
export class KeyValueMachine implements StateMachine {
  values = new Map<string, string>()
  readonly applied: number[] = []
  /** The most entries that were restored at once. */
  largestPiece = 0

  check(): void {}

  apply(index: number, data: Uint8Array): Applied {
    const [key = '', value = ''] = decoder.decode(data).split('=')
    const result = this.values.get(key) ?? null
    this.values.set(key, value)
    this.applied.push(index)
    return { result, writes: [{ key, value: encoder.encode(value) }] }
  }

  beginRestore(): StateRestore {
    const values = new Map<string, string>()
    return {
      add: (entries) => {
        for (const [key, value] of entries) values.set(key, decoder.decode(value))
        this.largestPiece = Math.max(this.largestPiece, entries.length)
      },
      commit: async () => {
        this.values = values
      },
    }
  }
}

export function set(key: string, value: string | number): Uint8Array {
  return encoder.encode(`${key}=${value}`)
}

type Handler = (from: string, message: Uint8Array) => void

/** Delivers between the nodes of this process; `cut` loses everything from and to a node. */
export class MemoryNetwork {
  readonly #handlers = new Map<string, Handler>()
  readonly #closedHandlers = new Map<string, (id: string) => void>()
  readonly #cut = new Set<string>()
  /** Pieces of snapshots that were sent. */
  bulkCount = 0

  transport(id: string): RaftTransport {
    return {
      send: (to, message, { bulk }) => {
        if (bulk) this.bulkCount += 1
        if (this.#cut.has(id) || this.#cut.has(to)) return
        const copy = message.slice()
        setImmediate(() => {
          if (!this.#cut.has(id) && !this.#cut.has(to)) this.#handlers.get(to)?.(id, copy)
        })
      },
      onMessage: (handler) => {
        this.#handlers.set(id, handler)
      },
      onPeerClosed: (handler) => {
        this.#closedHandlers.set(id, handler)
      },
    }
  }

  cut(id: string): void {
    this.#cut.add(id)
  }

  heal(id: string): void {
    this.#cut.delete(id)
  }

  /** The process of a node ended: its connections close. */
  leave(id: string): void {
    this.#handlers.delete(id)
    this.#closedHandlers.delete(id)
    for (const handler of this.#closedHandlers.values()) handler(id)
  }
}

export interface ClusterNode {
  readonly id: string
  readonly node: RaftNode
  readonly machine: KeyValueMachine
  readonly directory: string
  readonly events: string[]
  readonly fatal: Error[]
}

export interface StartOptions extends Partial<RaftNodeOptions> {
  readonly wal?: FileWalOptions
  readonly files?: (real: WalFiles) => WalFiles
  readonly machine?: KeyValueMachine
}

/** Starts and stops nodes on directories of their own; `close` ends and removes everything. */
export class Cluster {
  readonly network = new MemoryNetwork()
  readonly nodes = new Map<string, ClusterNode>()
  readonly #dataKey = new Uint8Array(32).fill(7)
  readonly #closing = new Map<string, Promise<void>>()
  readonly #root = mkdtemp(join(tmpdir(), 'raft-'))

  async start(id: string, options: StartOptions = {}): Promise<ClusterNode> {
    await this.#closing.get(id)
    const directory = join(await this.#root, id)
    const { wal: walOptions, files, machine = new KeyValueMachine(), ...nodeOptions } = options
    const real = new NodeWalFiles(join(directory, 'wal'))
    const shared = { clock: systemClock, dataKey: this.#dataKey }
    const wal = new FileWal(
      { files: files?.(real) ?? real, ...shared },
      { segmentBytes: 4 * 1024 * 1024, ...walOptions },
    )
    const state = new LevelStateStorage(join(directory, 'state'), {
      ...shared,
      onTrouble: () => {},
    })
    const events: string[] = []
    const fatal: Error[] = []
    const log = { info: () => {}, warn: () => {} }
    const node = new RaftNode(
      {
        ...{ wal, state, transport: this.network.transport(id), stateMachine: machine, log },
        ...{ clock: systemClock, random: Math.random, onFatal: (error) => fatal.push(error) },
        onLeaderChange: (leader, isReady) => events.push(`${leader} ${isReady}`),
        onRemoved: () => events.push('removed'),
      },
      { id, tickMs: TICK_MS, ...nodeOptions },
    )
    const member = { id, node, machine, directory, events, fatal }
    this.nodes.set(id, member)
    await node.start()
    return member
  }

  /** Starts the first members of a new cluster together. */
  startAll(ids: readonly string[], options: StartOptions = {}): Promise<ClusterNode[]> {
    const initialVoters = ids.map((id) => ({ id, context: encoder.encode(`host-${id}`) }))
    return Promise.all(ids.map((id) => this.start(id, { ...options, initialVoters })))
  }

  async stop(id: string): Promise<void> {
    await this.nodes.get(id)?.node.stop()
    this.nodes.delete(id)
    this.network.leave(id)
  }

  /** Ends a node as a crash does for its peers: it gets no word out any more, and its connections close. */
  async kill(id: string): Promise<void> {
    this.network.cut(id)
    this.network.leave(id)
    const closed = this.nodes.get(id)?.node.stop() ?? Promise.resolve()
    this.nodes.delete(id)
    // Its files are free again only when it has really closed them.
    this.#closing.set(
      id,
      closed.then(() => this.network.heal(id)),
    )
  }

  /** The member that leads, and has applied everything before its term. */
  async leader(): Promise<ClusterNode> {
    return until(() =>
      [...this.nodes.values()].find(({ id, events }) => events.at(-1) === `${id} true`),
    )
  }

  async close(): Promise<void> {
    for (const id of this.nodes.keys()) this.network.cut(id)
    await Promise.all([...this.nodes.values()].map(({ node }) => node.stop()))
    await Promise.all(this.#closing.values())
    await rm(await this.#root, { recursive: true, force: true })
  }
}

/** Waits until something is found; the test's own time limit ends it. */
export async function until<T>(find: () => T | undefined | false): Promise<T> {
  for (;;) {
    const found = find()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
