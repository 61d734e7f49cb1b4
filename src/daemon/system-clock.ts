import type { Clock } from '../api/clock.ts'

/** Node's timers hold 31 bits of milliseconds (24.8 days) and fire at once beyond: who waits longer is woken early and looks again. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX))
    return () => clearTimeout(timer)
  },
}
