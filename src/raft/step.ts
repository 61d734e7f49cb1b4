// What a message does: first the rules about terms, then one handler per kind.

import { assert } from './assert.ts'
import { becomeFollower, type CoreState, send } from './core-state.ts'
import {
  answerPreVote,
  onPreVote,
  onPreVoteResponse,
  onTimeoutNow,
  onVote,
  onVoteResponse,
  protectsLeader,
} from './election.ts'
import { onAppend, onHeartbeat, onSnapshot } from './follower.ts'
import type { RaftNodeId } from './membership.ts'
import type { Message, RemovedNotice } from './message.ts'
import { onReadIndex } from './reads.ts'
import { onAppendResponse, onHeartbeatResponse } from './replication.ts'

/** Takes a message from another member, or one of the node's own that came back when it was durable. */
export function step(state: CoreState, message: Message): void {
  assert(message.to === state.id, 'a message for another node')
  tellRemoved(state, message)
  if (message.term > state.term && !adoptTerm(state, message)) return
  if (message.term < state.term) onStale(state, message)
  else dispatch(state, message)
}

function dispatch(state: CoreState, message: Message): void {
  switch (message.kind) {
    case 'vote':
      onVote(state, message)
      break
    case 'vote-response':
      onVoteResponse(state, message)
      break
    case 'pre-vote':
      onPreVote(state, message)
      break
    case 'pre-vote-response':
      onPreVoteResponse(state, message)
      break
    case 'append':
      believe(state, message.from)
      onAppend(state, message)
      break
    case 'heartbeat':
      believe(state, message.from)
      onHeartbeat(state, message)
      break
    case 'snapshot':
      believe(state, message.from)
      onSnapshot(state, message)
      break
    case 'append-response':
      onAppendResponse(state, message)
      break
    case 'heartbeat-response':
      onHeartbeatResponse(state, message)
      break
    case 'timeout-now':
      onTimeoutNow(state, message)
      break
    case 'read-index':
      if (state.role === 'leader') onReadIndex(state, message)
      break
    case 'read-index-response':
      state.confirmedReads.push({ node: state.id, token: message.token, index: message.index })
      break
    case 'removed':
      onRemoved(state, message)
      break
    default:
      message satisfies never
  }
}

/** A leader of this term spoke: follow it, whatever this node was about to become. */
function believe(state: CoreState, leader: RaftNodeId): void {
  assert(state.role !== 'leader', `two leaders in term ${state.term}`)
  if (state.role !== 'follower') becomeFollower(state, state.term, leader)
  state.electionElapsedTicks = 0
  state.leader = leader
}

/** A message of a later term; false when it is to be ignored. Learning a term grants no vote. */
function adoptTerm(state: CoreState, message: Message): boolean {
  switch (message.kind) {
    case 'vote':
      if (protectsLeader(state, message)) return false
      becomeFollower(state, message.term, null)
      return true
    case 'pre-vote':
      return !protectsLeader(state, message)
    case 'pre-vote-response':
      if (!message.granted) becomeFollower(state, message.term, null)
      return true
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      becomeFollower(state, message.term, message.from)
      return true
    case 'removed':
      return true
    case 'vote-response':
    case 'append-response':
    case 'heartbeat-response':
    case 'timeout-now':
    case 'read-index':
    case 'read-index-response':
      becomeFollower(state, message.term, null)
      return true
    default:
      message satisfies never
      return false
  }
}

function onStale(state: CoreState, message: Message): void {
  const { id: from, term } = state
  const to = message.from
  switch (message.kind) {
    case 'append':
    case 'heartbeat':
      // Answered, so that a leader that was cut off learns the term. With PreVote and CheckQuorum
      // silence could leave this node unable to rejoin it and unable to replace it.
      send(state, { kind: 'heartbeat-response', from, to, term, readRound: 0 })
      break
    case 'pre-vote':
      answerPreVote(state, to, { term, granted: false })
      break
    case 'removed':
      onRemoved(state, message)
      break
    case 'vote':
    case 'vote-response':
    case 'pre-vote-response':
    case 'snapshot':
    case 'append-response':
    case 'heartbeat-response':
    case 'timeout-now':
    case 'read-index':
    case 'read-index-response':
      break
    default:
      message satisfies never
  }
}

/**
 * A removed member may have missed the entry that removed it. But it may also have come back since, and this
 * node have missed that: so it is told, and otherwise treated like anyone (§4.2.3 keeps it from disturbing).
 */
function tellRemoved(state: CoreState, message: Message): void {
  if (message.kind !== 'vote' && message.kind !== 'pre-vote') return
  const { id: from, term, membership, log } = state
  if (!membership.removed.includes(message.from)) return
  send(state, { kind: 'removed', from, to: message.from, term, index: log.applied })
}

/**
 * Whoever says so may itself have missed that this node came back: the newer membership is right. A newcomer
 * asked nobody for a vote, so this is for what had its id before.
 */
function onRemoved(state: CoreState, message: RemovedNotice): void {
  if (state.membership.voters.length === 0) return
  if (message.index > state.log.applied) state.removed = true
}
