import { SwarmctlError } from '../api/errors.ts'
import { parseDuration } from '../stack/parse/duration.ts'

const NS_PER_MS = 1e6
const MS_PER_S = 1000

/** A day, or an hour of it: of this machine's time, as the docker CLI takes it. JavaScript takes days for UTC's and knows no hours alone. */
const LOCAL_HOUR = /^\d{4}-\d\d-\d\d(T\d\d)?$/

/** A point in time for the API, in seconds since the epoch: `10m` is ten minutes ago; such seconds and RFC 3339 are taken as they are. */
export const sinceSeconds = (flag: string, text: string, nowMs: number): string => {
  if (/^\d+(\.\d+)?$/.test(text)) return text
  const at = Date.parse(
    text.replace(LOCAL_HOUR, (day, hour = 'T00') => `${day.slice(0, 10)}${hour}:00`),
  )
  if (Number.isFinite(at)) return String(at / MS_PER_S)
  try {
    return String((nowMs - parseDuration(text) / NS_PER_MS) / MS_PER_S)
  } catch (error) {
    throw new SwarmctlError('INVALID_ARGUMENT', `invalid ${flag} "${text}": a duration or a time`, {
      cause: error,
    })
  }
}
