import type { Clock } from '../api/clock.ts'
import { type ErrorCode, toSwarmctlError } from '../api/errors.ts'
import { ATTACH_RETRY_MS, ATTACH_WAIT_MAX_MS } from './limits.ts'
import { sleep } from './sleep.ts'

/** Does something again while what it needs is not there yet: a leader, the network's subnet, this node's tables. */
export type Patience = <T>(run: () => Promise<T>) => Promise<T>

const PASSING: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'TIMEOUT'])

/**
 * Whether asking again may help. Also when nobody knows what became of the request, which a change of leaders leaves behind: what it made, the
 * next one finds.
 */
export const isPassing = (error: unknown): boolean => PASSING.has(toSwarmctlError(error).code)

/** Patience for what is done from now on: it ends ATTACH_WAIT_MAX_MS from now, however many steps there are, or when the signal aborts. */
export const startPatience = (clock: Clock, signal: AbortSignal): Patience => {
  const sinceMs = clock.nowMs()
  // That far before: the clock was set back, and would be hours in coming here again.
  const isOver = (): boolean => Math.abs(clock.nowMs() - sinceMs) >= ATTACH_WAIT_MAX_MS
  return async (run) => {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        if (!isPassing(error) || isOver()) throw error
        await sleep(clock, ATTACH_RETRY_MS, signal)
        if (signal.aborted) throw error
      }
    }
  }
}
