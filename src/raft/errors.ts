import type { RaftNodeId } from './membership.ts'

/** Stable; the catalogue of the API maps them to what a user sees. */
export type RaftErrorCode =
  | 'RAFT_NOT_LEADER'
  | 'RAFT_STOPPED'
  | 'RAFT_DROPPED'
  | 'RAFT_LOG_FULL'
  | 'RAFT_OUTCOME_UNKNOWN'
  | 'RAFT_TOO_LARGE'
  | 'RAFT_UNAVAILABLE'
  | 'RAFT_ABORTED'
  | 'RAFT_STORAGE_CORRUPT'
  | 'RAFT_STORAGE_KEY'
  | 'RAFT_STORAGE_VERSION'
  | 'RAFT_STORAGE_UNREADABLE'
  | 'RAFT_STORAGE_FAILED'
  | 'RAFT_NOTHING_STORED'

/** The base of every operating error of Raft. */
export class RaftError extends Error {
  override readonly name: string = 'RaftError'
  readonly code: RaftErrorCode

  constructor(code: RaftErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Thrown when only the leader can do it; nothing happened. Ask the leader, if it is known. */
export class NotLeaderError extends RaftError {
  override readonly name = 'NotLeaderError'
  readonly leaderId: RaftNodeId | null

  constructor(leaderId: RaftNodeId | null) {
    super('RAFT_NOT_LEADER', leaderId === null ? 'there is no leader' : `${leaderId} leads`)
    this.leaderId = leaderId
  }
}

/** Thrown when the node stops or has stopped. What was already proposed may still take effect. */
export class StoppedError extends RaftError {
  override readonly name = 'StoppedError'

  constructor() {
    super('RAFT_STOPPED', 'this manager is stopping')
  }
}

/** Thrown when a proposal certainly had no effect; it may be tried again. */
export class ProposalDroppedError extends RaftError {
  override readonly name = 'ProposalDroppedError'

  constructor(reason: string) {
    super('RAFT_DROPPED', reason)
  }
}

/** Linux's number of it: libuv has no name for a quota that is used up. */
const EDQUOT = -122

/** Thrown when no room for another piece of the log could be had, and why; nothing happened. */
export class LogFullError extends RaftError {
  override readonly name = 'LogFullError'

  constructor(cause: NodeJS.ErrnoException) {
    const isFull = cause.code === 'ENOSPC' || cause.errno === EDQUOT
    super(
      'RAFT_LOG_FULL',
      isFull
        ? 'the disk of the manager is full: free some space'
        : `the log of the manager gets no more room (${cause.message}): mend that, and it goes on by itself`,
      { cause },
    )
  }
}

/** Thrown when nobody can say yet whether a proposal took effect or will: read before trying again. */
export class OutcomeUnknownError extends RaftError {
  override readonly name = 'OutcomeUnknownError'

  constructor(reason: string) {
    super('RAFT_OUTCOME_UNKNOWN', reason)
  }
}

/** Thrown when a read got no answer from a leader with a quorum in time. */
export class UnavailableError extends RaftError {
  override readonly name = 'UnavailableError'

  constructor() {
    super('RAFT_UNAVAILABLE', 'no leader with a majority of the managers answered in time')
  }
}

/** Thrown when one entry is larger than a frame of the log can hold. */
export class EntryTooLargeError extends RaftError {
  override readonly name = 'EntryTooLargeError'

  constructor(bytes: number, bytesMax: number) {
    super('RAFT_TOO_LARGE', `${bytes} bytes are more than one change may have (${bytesMax})`)
  }
}

/** Thrown when the caller's signal aborted the wait; a proposal may still take effect. */
export class WaitAbortedError extends RaftError {
  override readonly name = 'WaitAbortedError'

  constructor(options?: ErrorOptions) {
    super('RAFT_ABORTED', 'the wait was aborted; the change may still take effect', options)
  }
}

/**
 * Thrown when stored data is damaged, or a part of it is gone. What this node voted and acknowledged is unknown: it must not
 * take part as the member that it was.
 */
export class StorageCorruptError extends RaftError {
  override readonly name = 'StorageCorruptError'

  constructor(what: string, options?: ErrorOptions) {
    super('RAFT_STORAGE_CORRUPT', what, options)
  }
}

/** Thrown when a newer version wrote what is stored. It is whole, and left as it is. */
export class StorageVersionError extends RaftError {
  override readonly name = 'StorageVersionError'

  constructor(what: string, version: number | undefined, versionMax: number) {
    super(
      'RAFT_STORAGE_VERSION',
      `${what} was written by a newer swarmctl (format ${version}, this one reads up to ${versionMax}): run that version`,
    )
  }
}

/** Thrown when what is stored is whole, as its seal says, but nothing that this version can read. It is left as it is. */
export class StorageUnreadableError extends RaftError {
  override readonly name = 'StorageUnreadableError'

  constructor(what: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      'RAFT_STORAGE_UNREADABLE',
      `${what} is whole, but can not be read by this swarmctl (${why}): run the version that wrote it, or run "swarmctl leave --force", and then join again or "swarmctl restore FILE"`,
      { cause },
    )
  }
}

/** Thrown when stored data can't be opened with the given data key. */
export class StorageKeyError extends RaftError {
  override readonly name = 'StorageKeyError'

  constructor(what: string) {
    super('RAFT_STORAGE_KEY', `${what} was written with another data key`)
  }
}

/** Thrown when writing or syncing failed, so that what is on disk is unknown. The process must end. */
export class StorageFailedError extends RaftError {
  override readonly name = 'StorageFailedError'

  constructor(what: string, options?: ErrorOptions) {
    super('RAFT_STORAGE_FAILED', what, options)
  }
}

/** Thrown when a member that got nothing of its cluster yet is to go on alone. */
export class NothingStoredError extends RaftError {
  override readonly name = 'NothingStoredError'

  constructor() {
    super(
      'RAFT_NOTHING_STORED',
      'this manager never got the state of its swarm, so there is nothing to go on with: run "swarmctl leave --force", and then join again or "swarmctl restore FILE"',
    )
  }
}
