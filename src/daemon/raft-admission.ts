import type { WireMessage } from '../raft/wire.ts'

/** What a manager knows of the sender of a raft message. */
export interface RaftSender {
  /** By the applied state it was a manager once and is no member of consensus any more. */
  isDemoted: boolean
  /** The managers that this node's agent was told of have it among them, and that is newer than the applied state. */
  isManagerAgain: boolean
}

/**
 * Whether raft gets a message. The certificate of a demoted manager stays valid for long, and raft listens to whoever was removed, since
 * it may have come back and lead while this node lags behind. So of a demoted sender it gets only what makes it answer "removed" and
 * changes nothing else (a pre-vote), unless a list of managers that is newer than the applied state says that the sender is one again: an older one, of a leader that was
 * demoted itself, says nothing that the state does not know better.
 * `kind` is undefined for what can't be read.
 */
export const passesToRaft = (
  kind: WireMessage['kind'] | undefined,
  { isDemoted, isManagerAgain }: RaftSender,
): boolean => !isDemoted || isManagerAgain || kind === 'pre-vote'
