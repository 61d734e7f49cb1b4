// The follower's side of replication: §3.5, snapshots §5.

import { assert } from './assert.ts'
import { type CoreState, send } from './core-state.ts'
import { memberIds } from './membership.ts'
import type { AppendRequest, Heartbeat, SnapshotInstall } from './message.ts'

export function onAppend(state: CoreState, message: AppendRequest): void {
  const { log } = state
  if (message.prevIndex < log.committed) {
    // An old or repeated message. What it says about committed entries is a success, not a conflict.
    accept(state, message.from, log.committed)
    return
  }
  if (!log.matches(message.prevIndex, message.prevTerm)) {
    reject(state, message)
    return
  }
  log.appendReceived(message.entries)
  const lastNew = message.prevIndex + message.entries.length
  // Beyond the last new entry this log may still differ from the leader's.
  log.commitTo(Math.min(message.commit, lastNew))
  accept(state, message.from, lastNew)
}

export function onHeartbeat(state: CoreState, message: Heartbeat): void {
  state.log.commitTo(Math.min(message.commit, state.log.lastIndex))
  const { id: from, term } = state
  const { from: to, readRound } = message
  send(state, { kind: 'heartbeat-response', from, to, term, readRound })
}

/** The node holds a complete snapshot: take it over, unless the log is already past it. */
export function onSnapshot(state: CoreState, message: SnapshotInstall): void {
  const { log } = state
  const { meta } = message
  if (meta.index > log.committed) {
    if (log.matches(meta.index, meta.term)) {
      // The log has it all: never throw away a matching tail (etcd #1763).
      log.commitTo(meta.index)
    } else {
      log.restore(meta)
      state.membership = meta.membership
      state.removed = meta.membership.removed.includes(state.id)
      state.snapshotToInstall = meta
      state.installing = true
      assert(memberIds(meta.membership).length > 0, 'a snapshot of a cluster without members')
    }
  }
  accept(state, message.from, log.committed)
}

function accept(state: CoreState, to: string, index: number): void {
  const { id: from, term } = state
  const agreed = { index, rejected: false, hintIndex: 0, hintTerm: 0 }
  send(state, { kind: 'append-response', from, to, term, ...agreed })
}

function reject(state: CoreState, message: AppendRequest): void {
  const { id: from, term, log } = state
  // All of this log's terms above prevTerm are skipped at once (§3.5, the optimisation).
  const hint = log.findConflict(message.prevIndex, message.prevTerm)
  const hints = { hintIndex: hint.index, hintTerm: hint.term }
  const index = message.prevIndex
  send(state, {
    kind: 'append-response',
    from,
    to: message.from,
    term,
    index,
    rejected: true,
    ...hints,
  })
}
