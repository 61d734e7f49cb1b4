import type { Entry, LogPosition } from './entry.ts'
import type { Membership, RaftNodeId } from './membership.ts'

/** What a snapshot of the state stands for: everything up to a position, and who was a member there. */
export interface SnapshotMeta extends LogPosition {
  readonly membership: Membership
}

interface Envelope {
  readonly from: RaftNodeId
  readonly to: RaftNodeId
  /** The sender's term; for the two kinds of pre-vote the term that would be campaigned for. */
  readonly term: number
}

/** Asks for a vote (§3.4); `force` says that the leader itself asked for this election (§3.10). */
export interface VoteRequest extends Envelope {
  readonly kind: 'vote'
  readonly lastIndex: number
  readonly lastTerm: number
  readonly force: boolean
}

/** Answers a {@link VoteRequest}. */
export interface VoteResponse extends Envelope {
  readonly kind: 'vote-response'
  readonly granted: boolean
}

/** Asks whether an election could be won, without disturbing anyone (§9.6). */
export interface PreVoteRequest extends Envelope {
  readonly kind: 'pre-vote'
  readonly lastIndex: number
  readonly lastTerm: number
}

/** Answers a {@link PreVoteRequest}; a grant carries the request's term, a refusal the voter's own. */
export interface PreVoteResponse extends Envelope {
  readonly kind: 'pre-vote-response'
  readonly granted: boolean
  /** What the voter knows to be committed, and its term. */
  readonly commit: number
  readonly commitTerm: number
}

/** Replicates entries after (prevIndex, prevTerm), and tells how far the leader has committed. */
export interface AppendRequest extends Envelope {
  readonly kind: 'append'
  readonly prevIndex: number
  readonly prevTerm: number
  readonly entries: readonly Entry[]
  readonly commit: number
}

/**
 * Answers an append or a snapshot. A success says up to which index the follower's durable log
 * equals the leader's; a rejection repeats prevIndex and hints at where both may agree.
 */
export interface AppendResponse extends Envelope {
  readonly kind: 'append-response'
  readonly index: number
  readonly rejected: boolean
  readonly hintIndex: number
  readonly hintTerm: number
}

/** Says that the leader lives; `readRound` is its own counter of this term, echoed by the answer (§6.4). */
export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat'
  readonly commit: number
  readonly readRound: number
}

/** Answers a {@link Heartbeat}. */
export interface HeartbeatResponse extends Envelope {
  readonly kind: 'heartbeat-response'
  readonly readRound: number
}

/** Stands for a complete, durable snapshot: handed to the core by its own node, never sent. */
export interface SnapshotInstall extends Envelope {
  readonly kind: 'snapshot'
  readonly meta: SnapshotMeta
}

/** Tells the chosen successor to campaign at once (§3.10). */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeout-now'
}

/** A follower asks the leader for an index up to which a read must wait. The token is the follower's. */
export interface ReadIndexRequest extends Envelope {
  readonly kind: 'read-index'
  readonly token: number
}

/** Answers a {@link ReadIndexRequest}. */
export interface ReadIndexResponse extends Envelope {
  readonly kind: 'read-index-response'
  readonly token: number
  readonly index: number
}

/** Tells a node that it was removed at or before an index; it may have missed the entry that said so. */
export interface RemovedNotice extends Envelope {
  readonly kind: 'removed'
  readonly index: number
}

/** What {@link RaftCore.step} takes and {@link Ready} hands out. */
export type Message =
  | VoteRequest
  | VoteResponse
  | PreVoteRequest
  | PreVoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotInstall
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse
  | RemovedNotice
