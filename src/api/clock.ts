/** Time as everything that is not the composition root sees it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
  /** Calls `run` once after `delayMs`; the returned function cancels. */
  schedule(delayMs: number, run: () => void): () => void
}

/** RFC 3339 UTC with milliseconds of a clock's now. */
export const timestamp = (clock: Clock): string => new Date(clock.nowMs()).toISOString()
