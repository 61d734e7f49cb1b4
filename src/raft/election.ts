// Elections: §3.4, §3.6.1, PreVote §9.6, leader stickiness §4.2.3, transfer §3.10.

import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  type CoreState,
  isPromotable,
  send,
} from './core-state.ts'
import type { RaftNodeId } from './membership.ts'
import type {
  PreVoteRequest,
  PreVoteResponse,
  TimeoutNow,
  VoteRequest,
  VoteResponse,
} from './message.ts'
import { voteResult } from './quorum.ts'
import { broadcastAppend } from './replication.ts'

/** The election timer ran out without a word from a leader. */
export function onElectionTimeout(state: CoreState): void {
  // Who may not campaign lets its timer run on: a dead leader must not be protected any longer.
  if (!mayCampaign(state)) return
  state.electionElapsedTicks = 0
  startPreVote(state)
}

/** The leader told this node to take over (§3.10): no pre-vote, and voters don't protect the leader. */
export function onTimeoutNow(state: CoreState, _message: TimeoutNow): void {
  if (mayCampaign(state)) startElection(state, true)
}

/** Begins an election at once. A leader stays one: it must not keep its heartbeats as a candidate. */
export function campaign(state: CoreState): void {
  if (mayCampaign(state)) startPreVote(state)
}

/** Refuses or grants a vote. The grant waits for the disk, as every answer that promises something. */
export function onVote(state: CoreState, message: VoteRequest): void {
  const free = state.vote === null && state.leader === null
  const granted =
    belongsToCluster(state) &&
    (state.vote === message.from || free) &&
    state.log.isUpToDate(message.lastIndex, message.lastTerm)
  if (granted) {
    state.electionElapsedTicks = 0
    state.vote = message.from
  }
  const { id: from, term } = state
  send(state, { kind: 'vote-response', from, to: message.from, term, granted })
}

/** Says whether it would vote. A grant changes nothing here: neither vote, nor term, nor timer. */
export function onPreVote(state: CoreState, message: PreVoteRequest): void {
  const free = state.vote === null && state.leader === null
  const granted =
    belongsToCluster(state) &&
    (message.term > state.term || state.vote === message.from || free) &&
    state.log.isUpToDate(message.lastIndex, message.lastTerm)
  // The grant carries the request's term: the answer belongs to a term that this node isn't in yet.
  const term = granted ? message.term : state.term
  answerPreVote(state, message.from, { term, granted })
}

/**
 * Every answer tells what is committed. Otherwise a node whose log is the longest, but which didn't hear
 * that a member left, would for ever need that member's vote (raft-rs: maybe_commit_by_vote).
 */
export function answerPreVote(
  state: CoreState,
  to: RaftNodeId,
  answer: Pick<PreVoteResponse, 'term' | 'granted'>,
): void {
  const { id: from, log } = state
  const commitTerm = log.termAt(log.committed) ?? 0
  const committed = { commit: log.committed, commitTerm }
  send(state, { kind: 'pre-vote-response', from, to, ...answer, ...committed })
}

export function onPreVoteResponse(state: CoreState, message: PreVoteResponse): void {
  if (state.role !== 'pre-candidate') return
  // The same entry there as here: what is committed up to it is so here.
  const { commit, commitTerm } = message
  if (state.log.matches(commit, commitTerm)) state.log.commitTo(commit)
  if (message.granted && message.term !== state.term + 1) return
  state.votes.set(message.from, state.votes.get(message.from) ?? message.granted)
  countPreVotes(state)
}

export function onVoteResponse(state: CoreState, message: VoteResponse): void {
  if (state.role !== 'candidate') return
  state.votes.set(message.from, state.votes.get(message.from) ?? message.granted)
  switch (voteResult(state.membership, state.votes)) {
    case 'won':
      becomeLeader(state)
      broadcastAppend(state)
      return
    case 'lost':
      becomeFollower(state, state.term, null)
      return
    case 'pending':
  }
}

/**
 * Whether a request for votes is ignored because a leader was heard of lately (§4.2.3). The leader
 * itself is believed when it asks: then it has restarted, or lost its office.
 */
export function protectsLeader(state: CoreState, message: VoteRequest | PreVoteRequest): boolean {
  if (message.kind === 'vote' && message.force) return false
  if (state.leader === null || state.leader === message.from) return false
  return state.role === 'leader' || state.electionElapsedTicks < state.options.electionTicks
}

/**
 * A newcomer elects nobody before it has a snapshot, which holds what added it. It may be a member that was
 * removed and lost its disk: whoever missed that would otherwise be elected with the help of a node
 * that forgot what it acknowledged. A learner votes when it is asked: it may be a voter by now.
 */
function belongsToCluster({ membership }: CoreState): boolean {
  return membership.voters.length > 0
}

function mayCampaign(state: CoreState): boolean {
  if (state.role === 'leader' || !isPromotable(state)) return false
  // With a committed change unapplied, the quorum to ask is not known yet.
  return !state.log.hasUnappliedMembership()
}

function startPreVote(state: CoreState): void {
  becomePreCandidate(state)
  const { index: lastIndex, term: lastTerm } = state.log.last
  for (const to of votersOf(state)) {
    if (to === state.id) continue
    const term = state.term + 1
    send(state, { kind: 'pre-vote', from: state.id, to, term, lastIndex, lastTerm })
  }
  state.votes.set(state.id, true)
  countPreVotes(state)
}

function countPreVotes(state: CoreState): void {
  switch (voteResult(state.membership, state.votes)) {
    case 'won':
      startElection(state, false)
      return
    case 'lost':
      becomeFollower(state, state.term, null)
      return
    case 'pending':
  }
}

function startElection(state: CoreState, force: boolean): void {
  becomeCandidate(state)
  const { id: from, term } = state
  const { index: lastIndex, term: lastTerm } = state.log.last
  for (const to of votersOf(state)) {
    // Its own vote is a promise like any other: it counts when it is durable, and comes back by then.
    if (to === from) send(state, { kind: 'vote-response', from, to, term, granted: true })
    else send(state, { kind: 'vote', from, to, term, lastIndex, lastTerm, force })
  }
}

function votersOf(state: CoreState): string[] {
  const { voters, outgoing } = state.membership
  return [...new Set([...voters, ...outgoing])].sort()
}
