import { SwarmctlError } from '../../api/errors.ts'
import type { CliContext } from '../context.ts'

/** So long nobody need answer while another leader is found or the daemon starts again, milliseconds. */
const SILENCE_LIMIT_MS = 60_000
const RETRY_MS = 200

/**
 * What `ask` answers, asked again while nobody does: that says nothing about a stack, whose services go on meanwhile. `ask` changes nothing.
 * Rejects with its other errors, and with the silence when that lasts.
 */
export const patiently = async <T>(
  { nowMs, sleep }: Pick<CliContext, 'nowMs' | 'sleep'>,
  ask: () => Promise<T>,
): Promise<T> => {
  const untilMs = nowMs() + SILENCE_LIMIT_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const isSilence = error instanceof SwarmctlError && error.code === 'UNAVAILABLE'
      if (!isSilence || nowMs() >= untilMs) throw error
    }
    await sleep(RETRY_MS)
  }
}
