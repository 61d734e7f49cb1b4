import type { HardState } from './core-state.ts'
import type { Entry, LogPosition } from './entry.ts'
import type { RaftNodeId } from './membership.ts'
import type { Message, SnapshotMeta } from './message.ts'
import type { ConfirmedRead } from './read-queue.ts'

/**
 * Names a batch for its completion: where the log ended, and the term in which that was accepted.
 * Both are needed, because a position can be written, overwritten by another leader and
 * written again while batches wait for the disk.
 */
export interface IoId {
  readonly term: number
  readonly position: LogPosition
}

/** What must become durable, in the order in which batches are handed out, in one piece. */
export interface PersistBatch {
  readonly ioId: IoId
  /** Null when neither term nor vote changed and nothing is appended. */
  readonly hardState: HardState | null
  /** The first may overwrite what the log had at its index; everything after it is then gone. */
  readonly entries: readonly Entry[]
  /** Replaces state and log, before the entries. The state of it must be durable before the log says so. */
  readonly snapshot: SnapshotMeta | null
  /** To send once the batch is durable, not before; those to the node itself go back into `step`. */
  readonly responses: readonly Message[]
}

/**
 * What the node must do, in this order: send `messages` (they don't depend on the disk), start to
 * persist, apply `committed`, then tell the core with `onApplied`. `onAppended` follows when the
 * batch is durable; other readies may be handed out before.
 */
export interface Ready {
  readonly persist: PersistBatch | null
  readonly messages: readonly Message[]
  /** Committed and durable here; at most the last one changes the membership. */
  readonly committed: readonly Entry[]
  /** Reads of this node: serve them when the index is applied. */
  readonly reads: readonly ConfirmedRead[]
  /** Followers that need a snapshot; `onSnapshotSent` must follow for each. */
  readonly snapshotsToSend: readonly RaftNodeId[]
}
