import type { Clock } from './clock.ts'
import type { RaftNodeId } from './membership.ts'
import type { StateEntry, StateStorage, StateWrite } from './state-port.ts'
import type { Wal } from './wal-port.ts'

/** What an applied entry gave. */
export interface Applied {
  /** What the proposer gets, on the node where it proposed. */
  readonly result: unknown
  /** The changed keys with their new values; none, or null, removes one. */
  readonly writes: readonly StateWrite[]
}

/** What is replicated. It must be a function of the entries alone: no clock, random, or IO. */
export interface StateMachine {
  /** Throws when it can't read a command, as `apply` would. */
  check(data: Uint8Array): void
  /** Called once for each command, in the order of the log, the same on every member. */
  apply(index: number, data: Uint8Array): Applied
  /**
   * Begins another state beside the one in use: at start, or when a snapshot comes. `appliedIndex` 0 is the empty state. What is
   * begun and never committed is forgotten.
   */
  beginRestore(appliedIndex: number): StateRestore
}

/** A state on its way in, piece by piece, while commands are still applied to the one in use. */
export interface StateRestore {
  /** Takes entries with keys that were not added before. Throws when it can't read one. */
  add(entries: readonly StateEntry[]): void
  /**
   * Replaces the whole state by what was added, once. Nothing after its index may have been applied, and nothing is applied until it
   * resolves; `pause` lets others go on in between.
   */
  commit(pause: () => Promise<void>): Promise<void>
}

/** How nodes talk. Messages may be lost, repeated and reordered; who sent one must be certain. */
export interface RaftTransport {
  /**
   * Sends and forgets; throws nothing. `bulk` marks pieces of a snapshot, of at most about 300 KiB, one
   * at a time for each peer: they should not delay what comes after them.
   */
  send(to: RaftNodeId, message: Uint8Array, options: { bulk: boolean }): void
  /** `from` is who the connection proved to be. The bytes belong to the node from then on. */
  onMessage(handler: (from: RaftNodeId, message: Uint8Array) => void): void
  /** A peer's connection closed; if it led, an election follows within a few ticks. */
  onPeerClosed?(handler: (id: RaftNodeId) => void): void
}

/** Where a node says what its operator may want to know. */
export interface RaftLogger {
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
}

/** What a node is made of. */
export interface RaftNodeDeps {
  readonly wal: Wal
  readonly state: StateStorage
  readonly transport: RaftTransport
  readonly stateMachine: StateMachine
  readonly clock: Clock
  /** A number in [0, 1). */
  readonly random: () => number
  readonly log: RaftLogger
  /** The process must end: a disk failed, or an invariant is broken. Called once. */
  readonly onFatal: (error: Error) => void
  /**
   * Another leader, or none. `isReady` when this node itself leads and has applied everything that was
   * committed before: only then its state is what the cluster agreed on (start controllers then).
   */
  readonly onLeaderChange?: (leaderId: RaftNodeId | null, isReady: boolean) => void
  /** This node was removed from the cluster. Called again only after it came back. */
  readonly onRemoved?: () => void
  /** The members, or what is known of them, changed; `status()` has them. */
  readonly onMembersChange?: () => void
}
