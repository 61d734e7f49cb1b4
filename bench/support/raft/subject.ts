import type { SubjectName, Target } from './job.ts'
import type { ServerProcess } from './server-process.ts'

/** Members of every cluster that is measured. */
export const MEMBERS = 3

/** One side of the comparison: a cluster of three members on the same machine. */
export interface RaftSubject {
  readonly name: SubjectName
  /** Starts an empty cluster. It may not have a leader yet. */
  start(): Promise<void>
  /** Starts a member again, with what it has on disk. */
  startMember(index: number): Promise<void>
  /** Ends every process and removes what is on disk. */
  stop(): Promise<void>
  target(): Target
  member(index: number): ServerProcess
  logTails(): string
}
