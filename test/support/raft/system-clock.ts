import type { Clock } from '../../../src/raft/clock.ts'

/** The {@link Clock} of the process. */
export const systemClock: Clock = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
  defer(callback) {
    setImmediate(callback)
  },
}
