import type { Clock } from '../api/clock.ts'
import type { Log } from '../api/log.ts'

/** What a daemon gets from its process. */
export interface DaemonDeps {
  clock: Clock
  log: Log
  random: () => number
  /** The disk's content is unknown: the process has to end. */
  onFatal: (error: Error) => void
}
