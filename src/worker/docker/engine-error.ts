import { SwarmctlError } from '../../api/errors.ts'

/** The text of an answer without dockerode's decoration. */
const messageOf = (thrown: { json?: unknown; message?: string }): string => {
  const json = thrown.json as { message?: unknown } | null | undefined
  if (typeof json?.message === 'string') return json.message
  // Of a stream's answer only the decorated text is left.
  return (thrown.message ?? String(thrown)).replace(/^\(HTTP code \d+\) .*? - /, '').trim()
}

/** What the Engine, or the way to it, threw, as an error of the catalogue. Docker's own words are kept. */
export const engineError = (thrown: unknown): SwarmctlError => {
  if (thrown instanceof SwarmctlError) return thrown
  const error = thrown as { statusCode?: number; json?: unknown; message?: string; code?: string }
  const message = messageOf(error)
  switch (error.statusCode) {
    case undefined:
      // No answer at all: the socket is missing or closed, or the limit has passed.
      return new SwarmctlError(
        'ENGINE_UNAVAILABLE',
        `the Docker Engine does not answer: ${message}`,
        {
          cause: thrown,
        },
      )
    case 400:
      return new SwarmctlError('INVALID_ARGUMENT', message, { cause: thrown })
    case 404:
      return new SwarmctlError('NOT_FOUND', message, { cause: thrown })
    case 409:
      return new SwarmctlError('ALREADY_EXISTS', message, { cause: thrown })
    default:
      return new SwarmctlError('INTERNAL', message, { cause: thrown })
  }
}
