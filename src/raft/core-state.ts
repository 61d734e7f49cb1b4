// The state of the Raft state machine, and what every handler needs to change it. Nothing here or
// in the handlers knows a clock, a disk, a network or a source of random numbers.

import type { CoreOptions } from './core-options.ts'
import { createEntry, type Entry, type EntryKind, sizeOfEntries } from './entry.ts'
import type { RaftLog } from './log.ts'
import { isVoter, type Membership, memberIds, type RaftNodeId } from './membership.ts'
import type { Message, SnapshotMeta } from './message.ts'
import { Progress } from './progress.ts'
import { type ConfirmedRead, ReadQueue } from './read-queue.ts'

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/** What must be durable before any message that depends on it (§3.8). */
export interface HardState {
  readonly term: number
  readonly vote: RaftNodeId | null
  /** How far was committed, as far as this node knew; only saves time at start. */
  readonly commit: number
}

/** Everything the core remembers. Only the handlers of this folder touch it. */
export interface CoreState {
  readonly id: RaftNodeId
  readonly options: CoreOptions
  /** A number in [0, 1); only elections use it. */
  readonly random: () => number
  readonly log: RaftLog

  term: number
  vote: RaftNodeId | null
  role: Role
  leader: RaftNodeId | null
  membership: Membership

  electionElapsedTicks: number
  electionTimeoutTicks: number
  heartbeatElapsedTicks: number
  /** Answers of this campaign, by voter. */
  votes: Map<RaftNodeId, boolean>

  /** What the leader knows of each member, itself included, in the order of their ids. */
  progress: Map<RaftNodeId, Progress>
  transferee: RaftNodeId | null
  /** No membership change is proposed before this index is applied, so that there is one at a time. */
  pendingMembershipIndex: number
  uncommittedBytes: number
  reads: ReadQueue

  /** May be sent at once. */
  messages: Message[]
  /** Promises: must not leave before what they rest on is durable. */
  messagesAfterPersist: Message[]
  confirmedReads: ConfirmedRead[]
  snapshotsToSend: RaftNodeId[]
  snapshotToInstall: SnapshotMeta | null
  /** From taking a snapshot over until its state is in use; nothing is applied meanwhile. */
  installing: boolean
  removed: boolean
}

/** Queues a message; promises wait for the disk. */
export function send(state: CoreState, message: Message): void {
  switch (message.kind) {
    // A request for votes waits too. Were it sent before this log is durable, then a crash could
    // shorten the log, and a late answer to the old request would elect a log that lacks entries.
    case 'vote':
    case 'vote-response':
    case 'pre-vote-response':
    case 'append-response':
      state.messagesAfterPersist.push(message)
      return
    case 'pre-vote':
    case 'append':
    case 'heartbeat':
    case 'heartbeat-response':
    case 'timeout-now':
    case 'read-index':
    case 'read-index-response':
    case 'removed':
    case 'snapshot':
      state.messages.push(message)
      return
    default:
      message satisfies never
  }
}

export function becomeFollower(state: CoreState, term: number, leader: RaftNodeId | null): void {
  reset(state, term)
  state.role = 'follower'
  state.leader = leader
}

export function becomePreCandidate(state: CoreState): void {
  // Neither term nor vote change (§9.6), but the old leader is no longer believed in.
  state.role = 'pre-candidate'
  state.leader = null
  state.votes = new Map()
  state.electionElapsedTicks = 0
  drawElectionTimeout(state)
}

export function becomeCandidate(state: CoreState): void {
  reset(state, state.term + 1)
  state.role = 'candidate'
  state.vote = state.id
}

export function becomeLeader(state: CoreState): void {
  reset(state, state.term)
  state.role = 'leader'
  state.leader = state.id
  // An uncommitted change of an earlier leader may sit in the tail: wait until all of it is applied.
  state.pendingMembershipIndex = state.log.lastIndex
  trackMembers(state)
  // An entry of its own term tells a new leader what is committed (§6.4), and commits what was before.
  appendEntry(state, 'noop')
}

/** Adds an entry at the end of the leader's own log. */
export function appendEntry(state: CoreState, kind: EntryKind, data?: Uint8Array): Entry {
  const position = { index: state.log.lastIndex + 1, term: state.term }
  const entry = createEntry(position, kind, data)
  state.log.appendOwn([entry])
  state.uncommittedBytes += entry.bytes.length
  return entry
}

/** Makes the leader's progress fit the membership; a new member starts with nothing known. */
export function trackMembers(state: CoreState): void {
  const { inflightMessagesMax: messagesMax, inflightBytesMax: bytesMax } = state.options
  const tracked = new Map<RaftNodeId, Progress>()
  for (const id of memberIds(state.membership)) {
    const known = state.progress.get(id)
    const fresh = new Progress(state.log.lastIndex + 1, { messagesMax, bytesMax })
    // A member that was just added had no time to be heard of: it isn't silent yet.
    fresh.recentActive = known === undefined
    tracked.set(id, known ?? fresh)
  }
  const own = tracked.get(state.id)
  if (own !== undefined && own.state !== 'replicate') {
    own.match = state.log.persisted
    own.becomeReplicate()
  }
  state.progress = tracked
}

/** Whether this node may start an election: it votes, and its log is not about to be replaced. */
export function isPromotable(state: CoreState): boolean {
  return isVoter(state.membership, state.id) && !state.installing
}

/** Whether the leader has committed an entry of its own term, so that it knows what is committed. */
export function committedInTerm(state: CoreState): boolean {
  const { log } = state
  return log.termAt(log.committed) === state.term
}

/** Entries that were committed no longer count against the limit of what may be proposed. */
export function releaseUncommitted(state: CoreState, entries: readonly Entry[]): void {
  state.uncommittedBytes = Math.max(0, state.uncommittedBytes - sizeOfEntries(entries))
}

function reset(state: CoreState, term: number): void {
  // The vote is forgotten only when the term rises; otherwise a node could vote twice in one term.
  if (term !== state.term) {
    state.term = term
    state.vote = null
  }
  state.leader = null
  state.electionElapsedTicks = 0
  state.heartbeatElapsedTicks = 0
  drawElectionTimeout(state)
  state.votes = new Map()
  state.progress = new Map()
  state.transferee = null
  state.pendingMembershipIndex = 0
  state.uncommittedBytes = 0
  state.reads = new ReadQueue()
}

function drawElectionTimeout(state: CoreState): void {
  const { electionTicks } = state.options
  state.electionTimeoutTicks = electionTicks + Math.floor(state.random() * electionTicks)
}
