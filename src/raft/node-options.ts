import type { CoreOptions } from './core-options.ts'
import type { RaftNodeId } from './membership.ts'
import type { InitialVoter } from './node-start.ts'

/** Tunables of a node; all but the id have defaults. */
export interface RaftNodeOptions {
  readonly id: RaftNodeId
  /**
   * Only for the first members of a new cluster, the same list on each of them. Ignored when something
   * is stored. A node without it waits until a leader finds it.
   */
  readonly initialVoters?: readonly InitialVoter[]
  /**
   * This member goes on alone with all that it has, since the majority of the others is lost for good; its context (address)
   * may be a new one. The others are removed and refused from then on. Never while they may still decide something.
   */
  readonly survivor?: InitialVoter
  /** Milliseconds of one tick; everything that waits counts in ticks. */
  readonly tickMs?: number
  readonly core?: Partial<CoreOptions>
  /** Entries kept in the log behind what is stored, for followers that are a little behind. */
  readonly keepEntriesMax?: number
  /** Bytes of such entries. */
  readonly keepBytesMax?: number
  /** Milliseconds that `propose` and the membership calls wait. */
  readonly proposeTimeoutMs?: number
  /** Milliseconds that `readBarrier` waits. */
  readonly readTimeoutMs?: number
  /** Milliseconds that `stop` waits for another node to take leadership over. */
  readonly stopTransferMs?: number
}

/**
 * With the core's defaults: heartbeat 100 ms, election 500 to 1000 ms. A finer tick would choose among more timeouts; each one
 * wakes the process, and they are a large part of what an idle member costs.
 */
export const NODE_DEFAULTS = {
  tickMs: 50,
  core: {},
  keepEntriesMax: 5_000,
  keepBytesMax: 64 * 1024 * 1024,
  proposeTimeoutMs: 10_000,
  readTimeoutMs: 5_000,
  stopTransferMs: 1_000,
} as const

/** Compaction waits until this many entries can go, so that it isn't done for each flush. */
export const COMPACT_STEP_ENTRIES = 256
/** Proposals that may wait to be applied; beyond, they are refused at once. */
export const PENDING_PROPOSALS_MAX = 20_000
/** A learner may be promoted when it lacks no more entries than this. */
export const PROMOTE_LAG_ENTRIES_MAX = 1_000
