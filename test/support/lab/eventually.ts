/** Waiting for something that other processes bring about. */
import { setTimeout as sleep } from 'node:timers/promises'

/** What is awaited and for how long. */
export interface EventuallyOptions {
  /** Completes the sentence "… did not happen": `three nodes are Ready`. */
  readonly what: string
  /** Default 30 s. */
  readonly timeoutMs?: number
  /** Pause between two attempts. Default 100 ms. */
  readonly intervalMs?: number
}

const TIMEOUT_MS = 30_000
const INTERVAL_MS = 100

/**
 * Calls `attempt` until it returns something other than `undefined`, `null` or `false`, and returns that.
 * An attempt that throws counts as not yet. Throws an error that names what was awaited, the time, and
 * the last answer or the last error.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  options: EventuallyOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const deadline = performance.now() + timeoutMs
  let last = 'no answer yet'
  let cause: unknown
  for (;;) {
    try {
      const value = await attempt()
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, false | null | undefined>
      }
      last = `last answer: ${String(value)}`
      cause = undefined
    } catch (error) {
      last = `last error: ${error instanceof Error ? error.message : String(error)}`
      cause = error
    }
    if (performance.now() >= deadline) break
    await sleep(options.intervalMs ?? INTERVAL_MS)
  }
  throw new Error(`${options.what}: did not happen within ${timeoutMs} ms; ${last}`, { cause })
}
