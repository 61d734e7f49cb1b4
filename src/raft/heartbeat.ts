import { type CoreState, send } from './core-state.ts'

/** Says that the leader lives, with the newest round of reads. */
export function broadcastHeartbeat(state: CoreState): void {
  const { id: from, term } = state
  for (const [to, progress] of state.progress) {
    if (to === from) continue
    // Never above what is known to match there: the rest of its log may be another leader's.
    const commit = Math.min(progress.match, state.log.committed)
    send(state, { kind: 'heartbeat', from, to, term, commit, readRound: state.reads.lastNumber })
  }
}
