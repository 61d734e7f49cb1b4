// The pure core of Raft, in the shape of etcd-raft: inputs change the state, `ready()` says what must
// be done about it. It has no clock, no disk, no network and no promise, so that a test can replay
// anything. References with § are to Ongaro's dissertation "Consensus: Bridging Theory and Practice".

import { assert } from './assert.ts'
import { type CoreOptions, coreOptions } from './core-options.ts'
import {
  appendEntry,
  becomeFollower,
  type CoreState,
  type HardState,
  type Role,
  releaseUncommitted,
  trackMembers,
} from './core-state.ts'
import { campaign, onElectionTimeout } from './election.ts'
import type { Entry, LogPosition } from './entry.ts'
import { broadcastHeartbeat } from './heartbeat.ts'
import { type CompactionLimits, RaftLog } from './log.ts'
import {
  applyMembership,
  isVoter,
  type Membership,
  type MembershipCommand,
  memberIds,
  type RaftNodeId,
  refusalOf,
} from './membership.ts'
import { decodeMembershipCommand, encodeMembershipCommand } from './membership-codec.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import { ReadQueue } from './read-queue.ts'
import { requestRead } from './reads.ts'
import type { IoId, PersistBatch, Ready } from './ready.ts'
import {
  broadcastAppend,
  broadcastNewEntries,
  checkQuorum,
  maybeCommit,
  onOwnLogPersisted,
  sendAppend,
  transferTo,
} from './replication.ts'
import { step } from './step.ts'

/** What a node remembers from before it started; all of it is durable. */
export interface CoreStart {
  readonly id: RaftNodeId
  readonly hardState: HardState
  /** What is before the first entry. */
  readonly base: LogPosition
  readonly entries: readonly Entry[]
  /** The index that the state contains, and the membership there. */
  readonly applied: number
  readonly membership: Membership
  /** A number in [0, 1), from the node's source of randomness. */
  readonly random: () => number
}

/** Where proposed entries went, or why they were not taken; then nothing happened. */
export type ProposeOutcome =
  | {
      readonly kind: 'proposed'
      readonly term: number
      readonly firstIndex: number
      /** How many there was room for: the others were not taken. */
      readonly count: number
    }
  | { readonly kind: 'not-leader'; readonly leaderId: RaftNodeId | null }
  | { readonly kind: 'refused'; readonly reason: string }

/** Why a leader takes no more for now. */
export const TOO_MUCH_UNCOMMITTED = 'too much is proposed and not committed yet'

export class RaftCore {
  readonly #state: CoreState
  #savedTerm: number
  #savedVote: RaftNodeId | null
  #savedCommit: number

  constructor(start: CoreStart, options?: Partial<CoreOptions>) {
    const { hardState, applied } = start
    this.#savedTerm = hardState.term
    this.#savedVote = hardState.vote
    this.#savedCommit = hardState.commit
    this.#state = {
      id: start.id,
      options: coreOptions(options),
      random: start.random,
      log: new RaftLog(start.base, start.entries, hardState.commit, applied),
      term: hardState.term,
      vote: hardState.vote,
      role: 'follower',
      leader: null,
      membership: start.membership,
      electionElapsedTicks: 0,
      electionTimeoutTicks: 0,
      heartbeatElapsedTicks: 0,
      votes: new Map(),
      progress: new Map(),
      transferee: null,
      pendingMembershipIndex: 0,
      uncommittedBytes: 0,
      reads: new ReadQueue(),
      messages: [],
      messagesAfterPersist: [],
      confirmedReads: [],
      snapshotsToSend: [],
      snapshotToInstall: null,
      installing: false,
      removed: start.membership.removed.includes(start.id),
    }
    becomeFollower(this.#state, hardState.term, null)
  }

  get id(): RaftNodeId {
    return this.#state.id
  }

  get role(): Role {
    return this.#state.role
  }

  get term(): number {
    return this.#state.term
  }

  get leader(): RaftNodeId | null {
    return this.#state.leader
  }

  get membership(): Membership {
    return this.#state.membership
  }

  /** Positions only; the log changes through this class alone. */
  get log(): Pick<
    RaftLog,
    'base' | 'last' | 'committed' | 'applied' | 'persisted' | 'termAt' | 'at'
  > {
    return this.#state.log
  }

  /** What the leader knows of each member; empty on all others. */
  get progress(): ReadonlyMap<RaftNodeId, Readonly<Progress>> {
    return this.#state.progress
  }

  get transferee(): RaftNodeId | null {
    return this.#state.transferee
  }

  /** Whether this node leads and its state contains everything committed before its term (§6.4). */
  get isCurrentLeader(): boolean {
    const { log, role, term } = this.#state
    return role === 'leader' && log.termAt(log.applied) === term
  }

  /** Time passes: one tick, whatever that is in milliseconds. */
  tick(): void {
    const state = this.#state
    state.electionElapsedTicks += 1
    if (state.role !== 'leader') {
      if (state.electionElapsedTicks >= state.electionTimeoutTicks) onElectionTimeout(state)
      return
    }
    if (state.electionElapsedTicks >= state.options.electionTicks) {
      state.electionElapsedTicks = 0
      checkQuorum(state)
      if (this.role !== 'leader') return
      state.transferee = null
      this.#maybeLeaveJoint()
    }
    state.heartbeatElapsedTicks += 1
    if (state.heartbeatElapsedTicks >= state.options.heartbeatTicks) {
      state.heartbeatElapsedTicks = 0
      broadcastHeartbeat(state)
    }
  }

  /** Takes a message from another member, or one of its own that came back when it was durable. */
  step(message: Message): void {
    step(this.#state, message)
  }

  /** Appends commands to the log of a leader, as many as may be uncommitted; they are committed, or not, later. */
  propose(commands: readonly Uint8Array[]): ProposeOutcome {
    const state = this.#state
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    const firstIndex = state.log.lastIndex + 1
    let count = 0
    for (const data of commands) {
      if (state.uncommittedBytes >= state.options.uncommittedBytesMax) break
      appendEntry(state, 'command', data)
      count += 1
    }
    if (count === 0) return { kind: 'refused', reason: TOO_MUCH_UNCOMMITTED }
    broadcastNewEntries(state)
    return { kind: 'proposed', term: state.term, firstIndex, count }
  }

  /** Proposes a change of the members; only one may be under way. */
  proposeMembership(command: MembershipCommand): ProposeOutcome {
    const state = this.#state
    const refusal = this.#refusal()
    if (refusal !== undefined) return refusal
    const reason =
      state.pendingMembershipIndex > state.log.applied
        ? 'a membership change is under way'
        : refusalOf(state.membership, command)
    if (reason !== undefined) return { kind: 'refused', reason }
    const entry = appendEntry(state, 'membership', encodeMembershipCommand(command))
    state.pendingMembershipIndex = entry.index
    broadcastNewEntries(state)
    return { kind: 'proposed', term: state.term, firstIndex: entry.index, count: 1 }
  }

  /** Begins a linearizable read; {@link Ready.reads} answers with the token, unless it is lost. */
  readIndex(token: number): void {
    requestRead(this.#state, token)
  }

  /** Hands leadership to a voter; it happened when another leader is seen. False: not possible. */
  transferLeadership(to: RaftNodeId): boolean {
    return transferTo(this.#state, to)
  }

  /** Starts an election at once, with a pre-vote. */
  campaign(): void {
    campaign(this.#state)
  }

  /**
   * The connection of a peer closed. If it was the leader, the node stops believing in it and campaigns
   * within a few ticks. This is safe since no read relies on a lease of the leader.
   */
  onPeerClosed(id: RaftNodeId): void {
    const state = this.#state
    if (state.role !== 'follower' || state.leader !== id) return
    state.leader = null
    const soon = 1 + Math.floor(state.random() * state.options.closedLeaderTicksMax)
    const left = state.electionTimeoutTicks - state.electionElapsedTicks
    state.electionElapsedTicks += Math.max(0, left - soon)
  }

  /** Whether `ready` would hand out anything. */
  get hasReady(): boolean {
    const state = this.#state
    return (
      state.messages.length > 0 ||
      state.messagesAfterPersist.length > 0 ||
      state.log.hasUnpersisted ||
      (state.log.hasToApply && !state.installing) ||
      state.confirmedReads.length > 0 ||
      state.snapshotsToSend.length > 0 ||
      this.#hasUnsavedState()
    )
  }

  /** This node is removed from the cluster. */
  get removed(): boolean {
    return this.#state.removed
  }

  /** Hands out what must be done now: see {@link Ready} for the order. Each thing is handed out once. */
  ready(): Ready {
    const state = this.#state
    const ready: Ready = {
      persist: this.#takePersistBatch(),
      messages: state.messages,
      committed: this.#takeCommitted(),
      reads: state.confirmedReads,
      snapshotsToSend: state.snapshotsToSend,
    }
    state.messages = []
    state.confirmedReads = []
    state.snapshotsToSend = []
    return ready
  }

  /** A batch that {@link Ready.persist} handed out is durable. Batches complete in their order. */
  onAppended(ioId: IoId): void {
    const state = this.#state
    // Tagged with the term in which it was accepted: since then the same position may have been
    // overwritten by another leader. The batch that carried the new term speaks for what is there now.
    if (ioId.term !== state.term) return
    if (!state.log.persistedTo(ioId.position)) return
    if (state.role === 'leader') onOwnLogPersisted(state)
  }

  /** Everything up to an index is applied; a membership change among it takes effect here. */
  onApplied(index: number): void {
    const state = this.#state
    for (let at = state.log.applied + 1; at <= index; at += 1) {
      const entry = state.log.at(at)
      assert(entry !== undefined, 'applied an entry that is not in the log')
      state.log.appliedTo(at)
      releaseUncommitted(state, [entry])
      if (entry.kind === 'membership') this.#onMembership(decodeMembershipCommand(entry.data))
    }
    this.#maybeLeaveJoint()
  }

  /** The snapshot that {@link PersistBatch.snapshot} named is durable and its state is in use. */
  onSnapshotInstalled(): void {
    this.#state.installing = false
  }

  /** A follower took a snapshot of an index, or it didn't get there. */
  onSnapshotSent(to: RaftNodeId, outcome: { index: number } | 'failed'): void {
    const progress = this.#state.progress.get(to)
    if (progress === undefined || progress.state !== 'snapshot') return
    if (outcome === 'failed') {
      // From where the log begins, not from 0: its answer says whether it has a log (see `welcome`).
      progress.onSnapshotFailed(this.#state.log.firstIndex)
      return
    }
    progress.becomeProbe(outcome.index + 1)
    sendAppend(this.#state, to, true)
  }

  /** Forgets old log entries; returns the index before the first that is left. */
  compact(limits: CompactionLimits): number {
    const { log } = this.#state
    log.compactTo(log.compactionIndex(limits))
    return log.base.index
  }

  #refusal(): ProposeOutcome | undefined {
    const { role, leader, transferee } = this.#state
    if (role !== 'leader') return { kind: 'not-leader', leaderId: leader }
    if (transferee === null) return undefined
    return { kind: 'refused', reason: 'leadership is being handed over' }
  }

  #onMembership(command: MembershipCommand): void {
    const state = this.#state
    const before = state.membership
    state.membership = applyMembership(before, command)
    state.removed = state.membership.removed.includes(state.id)
    if (state.role !== 'leader') return
    const staying = new Set(memberIds(state.membership))
    for (const id of memberIds(before)) {
      // The last message that it gets may tell it that it was removed; nothing depends on it.
      if (!staying.has(id) && id !== state.id) sendAppend(state, id, true)
    }
    trackMembers(state)
    // Who no longer votes can't take over (§3.10).
    if (state.transferee !== null && !isVoter(state.membership, state.transferee)) {
      state.transferee = null
    }
    if (!staying.has(state.id) || state.membership.learners.includes(state.id)) {
      // Removed or demoted, it led up to the commit of that (§4.2.2).
      becomeFollower(state, state.term, null)
      return
    }
    if (maybeCommit(state)) broadcastAppend(state)
    else broadcastNewEntries(state)
  }

  #maybeLeaveJoint(): void {
    const { role, membership, log, pendingMembershipIndex, transferee } = this.#state
    if (role !== 'leader' || membership.outgoing.length === 0 || transferee !== null) return
    if (pendingMembershipIndex <= log.applied) this.proposeMembership({ kind: 'leave-joint' })
  }

  #takePersistBatch(): PersistBatch | null {
    const state = this.#state
    const { term, vote, log } = state
    const changed = this.#hasUnsavedState()
    const snapshot = state.snapshotToInstall
    const responses = state.messagesAfterPersist
    if (!changed && !log.hasUnpersisted && responses.length === 0) return null
    this.#savedTerm = term
    this.#savedVote = vote
    state.messagesAfterPersist = []
    state.snapshotToInstall = null
    const entries = log.takeUnpersisted()
    const { index, term: lastTerm } = log.last
    const writes = changed || entries.length > 0 || snapshot !== null
    const hardState = writes ? { term, vote, commit: log.committed } : null
    if (writes) this.#savedCommit = log.committed
    const ioId = { term, position: { index, term: lastTerm } }
    return { ioId, hardState, entries, snapshot, responses }
  }

  #hasUnsavedState(): boolean {
    const { term, vote } = this.#state
    return term !== this.#savedTerm || vote !== this.#savedVote || this.#hasUnsavedMembership()
  }

  /**
   * That a change of members is committed goes to the disk at once, not with the next entry: after a crash this node would
   * otherwise need the vote of a member that has left, and forgotten everything, for ever.
   */
  #hasUnsavedMembership(): boolean {
    const { log } = this.#state
    for (let at = Math.max(this.#savedCommit, log.base.index) + 1; at <= log.committed; at += 1) {
      if (log.at(at)?.kind === 'membership') return true
    }
    return false
  }

  #takeCommitted(): Entry[] {
    const state = this.#state
    if (state.installing) return []
    const entries = state.log.toApply(state.options.applyBytesMax)
    // Ends with a membership change, so that the state is saved with the membership of its index.
    const change = entries.findIndex((entry) => entry.kind === 'membership')
    return change === -1 ? entries : entries.slice(0, change + 1)
  }
}
