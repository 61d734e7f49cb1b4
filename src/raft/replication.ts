// The leader's side of replication: §3.5, commit §3.6.2, flow control §10.2.1, reads §6.4.

import { becomeFollower, type CoreState, committedInTerm, send } from './core-state.ts'
import { sizeOfEntries } from './entry.ts'
import { isVoter, type RaftNodeId } from './membership.ts'
import type { AppendResponse, HeartbeatResponse } from './message.ts'
import type { Progress } from './progress.ts'
import { committedIndex, hasQuorum } from './quorum.ts'
import { deliverRead, startPostponedReads } from './reads.ts'

/** Sends each follower what it lacks, or at least the commit index. */
export function broadcastAppend(state: CoreState): void {
  for (const to of state.progress.keys()) {
    if (to !== state.id) sendAppend(state, to, true)
  }
}

/** Sends new entries to the followers that may get more; says nothing when there is nothing new. */
export function broadcastNewEntries(state: CoreState): void {
  for (const to of state.progress.keys()) {
    if (to !== state.id) sendAppend(state, to, false)
  }
}

/** Sends one append, or asks for a snapshot when the log no longer has what comes next. */
export function sendAppend(state: CoreState, to: RaftNodeId, evenIfEmpty: boolean): boolean {
  const progress = state.progress.get(to)
  if (progress === undefined || progress.isPaused) return false
  const { log, options } = state
  const prevIndex = progress.next - 1
  const prevTerm = log.termAt(prevIndex)
  if (prevIndex === 0 && log.applied > 0) return welcome(state, to, progress)
  if (prevTerm === undefined) return requestSnapshot(state, to, progress)
  // A full pipeline still gets empty appends: if all of it was lost, the rejection says so.
  const full = progress.state === 'replicate' && progress.inflightFull
  const entries = full ? [] : log.slice(progress.next, options.appendBytesMax)
  if (entries.length === 0 && !evenIfEmpty) return false
  const { id: from, term } = state
  const commit = log.committed
  send(state, { kind: 'append', from, to, term, prevIndex, prevTerm, entries, commit })
  progress.onSent(prevIndex + entries.length, entries.length, sizeOfEntries(entries))
  return true
}

export function onAppendResponse(state: CoreState, message: AppendResponse): void {
  const progress = state.progress.get(message.from)
  if (progress === undefined) return
  progress.onHeard()
  if (message.rejected) onAppendRejected(state, message, progress)
  else onAppendAccepted(state, message, progress)
}

export function onHeartbeatResponse(state: CoreState, message: HeartbeatResponse): void {
  const progress = state.progress.get(message.from)
  if (progress === undefined) return
  progress.onHeard()
  progress.resume()
  // Also recovers a probe whose message was lost.
  if (progress.match < state.log.lastIndex || progress.state === 'probe') {
    sendAppend(state, message.from, true)
  } else if (state.transferee === message.from) {
    // It may not have campaigned for want of applying a change of members (`mayCampaign`), or never have heard of it.
    sendTimeoutNow(state, message.from)
  }
  const confirmed = state.reads.acknowledge(message.from, message.readRound, (acks) =>
    hasQuorum(state.membership, (id) => id === state.id || acks.has(id)),
  )
  for (const read of confirmed) deliverRead(state, read)
}

/** The leader's own log is durable up to here: only now it counts itself (§10.2.1). */
export function onOwnLogPersisted(state: CoreState): void {
  const own = state.progress.get(state.id)
  if (own === undefined) return
  own.onMatched(state.log.persisted)
  if (maybeCommit(state)) broadcastAppend(state)
}

/** Raises the commit index to what a quorum holds, if that is an entry of the current term (§3.6.2). */
export function maybeCommit(state: CoreState): boolean {
  const { log } = state
  const index = committedIndex(state.membership, (id) => state.progress.get(id)?.match ?? 0)
  // Entries of earlier terms are committed only by what follows them: a majority alone isn't proof.
  if (index <= log.committed || log.termAt(index) !== state.term) return false
  const early = !committedInTerm(state)
  log.commitTo(index)
  if (early) startPostponedReads(state)
  return true
}

/** Every election timeout: a leader that a quorum didn't answer is one no longer (§6.2). */
export function checkQuorum(state: CoreState): void {
  const active = (id: RaftNodeId) =>
    id === state.id || (state.progress.get(id)?.recentActive ?? false)
  if (!hasQuorum(state.membership, active)) {
    becomeFollower(state, state.term, null)
    return
  }
  for (const progress of state.progress.values()) progress.recentActive = false
}

/** Begins to hand leadership over; the successor campaigns once its log is complete (§3.10). */
export function transferTo(state: CoreState, to: RaftNodeId): boolean {
  const progress = state.progress.get(to)
  if (state.role !== 'leader' || progress === undefined || to === state.id) return false
  if (!isVoter(state.membership, to)) return false
  // Asked again it doesn't begin again: the timer would never end it.
  if (state.transferee === to) return true
  state.transferee = to
  // The timer of the leader now limits the transfer.
  state.electionElapsedTicks = 0
  if (progress.match === state.log.lastIndex) sendTimeoutNow(state, to)
  else sendAppend(state, to, true)
  return true
}

function sendTimeoutNow(state: CoreState, to: RaftNodeId): void {
  send(state, { kind: 'timeout-now', from: state.id, to, term: state.term })
}

/**
 * A newcomer without any log gets a snapshot, never the log from its start: that would show it memberships
 * of before it was added, with which it could elect someone who doesn't know that it began anew.
 */
function welcome(state: CoreState, to: RaftNodeId, progress: Progress): boolean {
  const { log, term } = state
  // Only the state of a leader that has applied an entry of its own term surely has all that was committed.
  return log.termAt(log.applied) === term && requestSnapshot(state, to, progress)
}

function requestSnapshot(state: CoreState, to: RaftNodeId, progress: Progress): boolean {
  if (!progress.mayTakeSnapshot) return false
  progress.becomeSnapshot()
  state.snapshotsToSend.push(to)
  return true
}

function onAppendRejected(state: CoreState, message: AppendResponse, progress: Progress): void {
  // The follower skipped its terms above prevTerm; skip ours above the hint's (two-sided, §3.5).
  const hint = state.log.findConflict(message.hintIndex, message.hintTerm)
  if (!progress.onRejected(message.index, hint.index)) return
  if (progress.state === 'replicate') progress.becomeProbe()
  sendAppend(state, message.from, true)
}

function onAppendAccepted(state: CoreState, message: AppendResponse, progress: Progress): void {
  const wasPaused = progress.isPaused
  const isNews = progress.onMatched(message.index)
  if (!isNews && !(progress.state === 'probe' && progress.match === message.index)) return
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate()
      break
    case 'snapshot':
      if (progress.match >= state.log.base.index) progress.becomeReplicate()
      break
    case 'replicate':
      progress.freeInflightTo(message.index)
      break
    default:
      progress.state satisfies never
  }
  if (maybeCommit(state)) broadcastAppend(state)
  else if (wasPaused) sendAppend(state, message.from, true)
  while (sendAppend(state, message.from, false)) {
    // Fills the pipeline with what had to wait.
  }
  if (state.transferee === message.from && progress.match === state.log.lastIndex) {
    sendTimeoutNow(state, message.from)
  }
}
