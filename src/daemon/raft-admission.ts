import type { WireMessage } from '../raft/wire.ts'

/** What a manager knows of the sender of a raft message. */
export interface RaftSender {
  /** By the applied state it was a manager once and is no member of consensus any more. */
  isDemoted: boolean
  /** It is among the managers that this node's agent was told of. */
  isKnown: boolean
}

/**
 * Whether raft gets a message. The certificate of a demoted manager stays valid for long, and raft listens to whoever was removed, since
 * it may have come back and lead while this node lags behind. So of a demoted sender it gets only what makes it answer "removed" and
 * changes nothing else (a pre-vote), unless the leader's list of managers, which the agent has, says that the sender is one again.
 * `kind` is undefined for what can't be read.
 */
export const passesToRaft = (
  kind: WireMessage['kind'] | undefined,
  { isDemoted, isKnown }: RaftSender,
): boolean => !isDemoted || isKnown || kind === 'pre-vote'
