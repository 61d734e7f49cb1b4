import type { Clock } from '../api/clock.ts'

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export const sleep = (clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.schedule(delayMs, end)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
