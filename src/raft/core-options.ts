import { assert } from './assert.ts'

/** Tunables of the pure core. Times are in ticks, which the node above makes from a clock. */
export interface CoreOptions {
  /** Ticks without a leader's message before an election; doubled at most, at random (§3.4). */
  readonly electionTicks: number
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number
  /** At most this many ticks, at random, until an election when the leader's connection closed. */
  readonly closedLeaderTicksMax: number
  /** Entries of one append stay below this, if there is more than one. */
  readonly appendBytesMax: number
  /** Unanswered appends per follower; a deeper pipeline only adds latency. */
  readonly inflightMessagesMax: number
  /** Unanswered bytes per follower. */
  readonly inflightBytesMax: number
  /** Bytes that may be proposed but not committed; beyond, proposals are refused. */
  readonly uncommittedBytesMax: number
  /** Bytes of entries that one `ready()` hands out to apply, so that the loop stays responsive. */
  readonly applyBytesMax: number
}

/** Defaults for ticks of 50 ms: heartbeat 100 ms, election 500 to 1000 ms. */
export const CORE_DEFAULTS: CoreOptions = {
  electionTicks: 10,
  heartbeatTicks: 2,
  closedLeaderTicksMax: 4,
  appendBytesMax: 1024 * 1024,
  inflightMessagesMax: 4,
  inflightBytesMax: 8 * 1024 * 1024,
  uncommittedBytesMax: 16 * 1024 * 1024,
  applyBytesMax: 1024 * 1024,
}

/** Fills in defaults and checks how the values relate. */
export function coreOptions(options: Partial<CoreOptions> = {}): CoreOptions {
  const all = { ...CORE_DEFAULTS, ...options }
  assert(all.heartbeatTicks >= 1, 'a heartbeat takes at least one tick')
  assert(all.electionTicks > 2 * all.heartbeatTicks, 'an election must outlast two heartbeats')
  assert(all.closedLeaderTicksMax <= all.electionTicks, 'a closed leader must shorten the election')
  assert(all.appendBytesMax <= all.inflightBytesMax, 'one append must fit what may be in flight')
  return all
}
