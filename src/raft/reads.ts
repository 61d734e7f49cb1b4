// Linearizable reads without the disk: ReadIndex (§6.4).

import { type CoreState, committedInTerm, send } from './core-state.ts'
import { broadcastHeartbeat } from './heartbeat.ts'
import type { ReadIndexRequest } from './message.ts'
import { hasQuorum } from './quorum.ts'
import type { ConfirmedRead, ReadOrigin } from './read-queue.ts'

/** A read begins here: on the leader a round, on a follower a question to the leader. */
export function requestRead(state: CoreState, token: number): void {
  const { id: from, term, leader } = state
  if (state.role === 'leader') startRead(state, { node: from, token })
  // Without a leader the question is dropped; the node above asks again.
  else if (leader !== null) send(state, { kind: 'read-index', from, to: leader, term, token })
}

export function onReadIndex(state: CoreState, message: ReadIndexRequest): void {
  startRead(state, { node: message.from, token: message.token })
}

/** Tells whoever asked that the read may be served at an index. */
export function deliverRead(state: CoreState, read: ConfirmedRead): void {
  if (read.node === state.id) {
    state.confirmedReads.push(read)
    return
  }
  const { id: from, term } = state
  const { node: to, token, index } = read
  send(state, { kind: 'read-index-response', from, to, term, token, index })
}

/** The leader has committed in its own term: reads that came before begin now. */
export function startPostponedReads(state: CoreState): void {
  for (const origin of state.reads.takePostponed()) startRead(state, origin)
}

function startRead(state: CoreState, origin: ReadOrigin): void {
  if (!committedInTerm(state)) {
    // A new leader doesn't know yet what was committed before it (etcd #7331).
    state.reads.postpone(origin)
    return
  }
  const index = state.log.committed
  if (hasQuorum(state.membership, (id) => id === state.id)) {
    deliverRead(state, { ...origin, index })
    return
  }
  if (state.reads.begin(index, origin)) broadcastHeartbeat(state)
}
