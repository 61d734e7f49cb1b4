import { SwarmctlError } from '../api/errors.ts'
import type { CliContext } from './context.ts'

/** So long nobody need answer while another leader is found or the daemon starts again, milliseconds. */
const SILENCE_LIMIT_MS = 60_000
const RETRY_MS = 200

/** Whether nobody could answer. */
export const isSilence = (error: unknown): error is SwarmctlError =>
  error instanceof SwarmctlError && error.code === 'UNAVAILABLE'

/**
 * What `ask` answers, asked again while nobody does: that says nothing about services, which go on meanwhile. `ask` changes nothing.
 * Rejects with its other errors, and with the silence when that lasts, or goes beyond `untilMs` of the clock.
 */
export const patiently = async <T>(
  { nowMs, sleep }: Pick<CliContext, 'nowMs' | 'sleep'>,
  ask: () => Promise<T>,
  untilMs = Number.POSITIVE_INFINITY,
): Promise<T> => {
  const endMs = Math.min(nowMs() + SILENCE_LIMIT_MS, untilMs)
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isSilence(error) || nowMs() >= endMs) throw error
    }
    await sleep(RETRY_MS)
  }
}
