import { SwarmctlError } from '../api/errors.ts'
import { parseDuration } from '../stack/parse/duration.ts'

const NS_PER_MS = 1e6
const MS_PER_S = 1000

/** A point in time for the API, in seconds since the epoch: `10m` is ten minutes ago; such seconds and RFC 3339 are taken as they are. */
export const sinceSeconds = (flag: string, text: string, nowMs: number): string => {
  if (/^\d+(\.\d+)?$/.test(text)) return text
  const at = Date.parse(text)
  if (Number.isFinite(at)) return String(at / MS_PER_S)
  try {
    return String((nowMs - parseDuration(text) / NS_PER_MS) / MS_PER_S)
  } catch (error) {
    throw new SwarmctlError('INVALID_ARGUMENT', `invalid ${flag} "${text}": a duration or a time`, {
      cause: error,
    })
  }
}
