import type { ErrorCode } from '../api/errors.ts'
import { SwarmctlError } from '../api/errors.ts'
import type { Proposer } from '../manager/store/proposer.ts'
import { RaftError, type RaftErrorCode } from '../raft/errors.ts'
import type { RaftNode } from '../raft/node.ts'

const CODES: Record<RaftErrorCode, ErrorCode> = {
  RAFT_NOT_LEADER: 'UNAVAILABLE',
  RAFT_STOPPED: 'UNAVAILABLE',
  RAFT_DROPPED: 'UNAVAILABLE',
  RAFT_UNAVAILABLE: 'UNAVAILABLE',
  RAFT_LOG_FULL: 'DISK_FULL',
  RAFT_OUTCOME_UNKNOWN: 'TIMEOUT',
  RAFT_ABORTED: 'TIMEOUT',
  RAFT_TOO_LARGE: 'INVALID_ARGUMENT',
  RAFT_STORAGE_CORRUPT: 'INTERNAL',
  RAFT_STORAGE_KEY: 'INTERNAL',
  RAFT_STORAGE_VERSION: 'UNIMPLEMENTED',
  RAFT_STORAGE_UNREADABLE: 'INTERNAL',
  RAFT_STORAGE_FAILED: 'INTERNAL',
  RAFT_NOTHING_STORED: 'FAILED_PRECONDITION',
}

/** Docker's words for a cluster without a leader. */
export const NO_LEADER =
  "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online."

const withoutLeader = (error: RaftError): boolean =>
  error.code === 'RAFT_UNAVAILABLE' || error.message === 'there is no leader'

/** A raft error in the API's catalogue; what is none passes as it is. */
export const fromRaft = (thrown: unknown): unknown =>
  thrown instanceof RaftError
    ? new SwarmctlError(CODES[thrown.code], withoutLeader(thrown) ? NO_LEADER : thrown.message, {
        cause: thrown,
      })
    : thrown

/** A call of the raft node; its errors come out in the API's catalogue. */
export const translated = <T>(call: Promise<T>): Promise<T> => call.catch(rethrow)

const rethrow = (thrown: unknown): never => {
  throw fromRaft(thrown)
}

/** The store's way to the replicated log. */
export class RaftProposer implements Proposer {
  readonly #node: () => RaftNode

  constructor(node: () => RaftNode) {
    this.#node = node
  }

  propose(command: Uint8Array): Promise<{ index: number; result: unknown }> {
    return translated(this.#node().propose(command))
  }

  readBarrier(): Promise<void> {
    return translated(this.#node().readBarrier())
  }
}
