import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { invalid, SwarmctlError, unavailable } from '../api/errors.ts'
import { isTooDeep, NESTING_MAX } from '../api/nesting.ts'
import { speltAs } from './spelling.ts'

/** Largest request body: a config of 1000 KiB in base64 with room around it (raft's transaction limit is below it). */
export const BODY_BYTES_MAX = 4 << 20

/**
 * Reads a whole body, bounded. By events: an async iterator costs a small request as much as its handling.
 * @throws SwarmctlError INVALID_ARGUMENT for one that is too large; what the connection broke with
 */
export const readBody = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= BODY_BYTES_MAX) {
        chunks.push(chunk)
        return
      }
      // The rest flows on and is dropped, so that the client gets to read the answer.
      request.off('data', onData).resume()
      reject(invalid(`request body is larger than ${BODY_BYTES_MAX} bytes`))
    }
    const onClose = (): void => {
      // Each request closes, and an error takes its time to look at the stack.
      if (request.readableEnded) return
      reject(unavailable('the client went away before its request ended'))
    }
    request.on('end', () =>
      resolve(chunks[1] === undefined ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks)),
    )
    request.on('error', reject)
    request.on('close', onClose)
    request.on('data', onData)
    if (request.destroyed) onClose()
  })

const EMPTY = Buffer.alloc(0)

/** Reads and parses a JSON body; an absent one is `{}`. What follows meets keys as the schema spells them; nothing else is checked. */
export const readJson = async (request: IncomingMessage, schema: z.ZodType): Promise<unknown> => {
  requireJsonType(request)
  return parseJson(await readBody(request), schema)
}

/**
 * A body that says that it is something else is none of a client of this API, but may be a web page's form.
 * @throws SwarmctlError INVALID_ARGUMENT with Docker's text
 */
export const requireJsonType = ({ headers }: IncomingMessage): void => {
  const type = headers['content-type']
  if (!type || headers['content-length'] === '0') return
  if (type.split(';', 1)[0]?.trim().toLowerCase() === 'application/json') return
  throw invalid(`unsupported Content-Type header (${type}): must be 'application/json'`)
}

/** What stands for a whole number that a double does not hold, as it is written. */
type Inexact = (digits: string) => unknown

const refuseInexact: Inexact = (digits) => {
  throw invalid(`the number ${digits} can't be kept exactly: give a smaller or a rounder one`)
}

/** For what is passed on in another form: `JSON.stringify` puts the digits back. */
export const asWritten: Inexact = (JSON as unknown as { rawJSON: Inexact }).rawJSON

/** As `readJson`, for a body that was read. A number that would come back as another one is refused. */
export const parseJson = (
  body: Buffer,
  schema: z.ZodType,
  inexact: Inexact = refuseInexact,
): unknown => {
  const text = body.toString('utf8')
  if (text.trim() === '') return {}
  const value = parseText(text, inexact)
  if (value === null) return {}
  if (isTooDeep(value)) throw invalid(`the request body has more than ${NESTING_MAX} levels`)
  return speltAs(schema, value)
}

/** As many digits as a double may not have all of. */
const LONG_NUMBER = /\d{16}/

/** @throws SwarmctlError INVALID_ARGUMENT */
export const parseText = (text: string, inexact: Inexact): unknown => {
  const revive = (_key: string, value: unknown, { source = '' } = {}) =>
    typeof value === 'number' && isInexact(value, source) ? inexact(source) : value
  try {
    return LONG_NUMBER.test(text) ? JSON.parse(text, revive) : JSON.parse(text)
  } catch (error) {
    if (error instanceof SwarmctlError) throw error
    throw invalid(`invalid JSON: ${(error as Error).message}`)
  }
}

const isInexact = (value: number, source: string): boolean =>
  /^-?[1-9]\d{15,}$/.test(source) && String(value) !== source
