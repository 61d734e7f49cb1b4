import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { invalid } from '../api/errors.ts'
import { speltAs } from './spelling.ts'

/** Largest request body: a config of 1000 KiB in base64 with room around it (raft's transaction limit is below it). */
export const BODY_BYTES_MAX = 4 << 20

/** Reads a whole body, bounded. */
export const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) throw invalid(`request body is larger than ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads and parses a JSON body; an absent one is `{}`. What follows meets keys as the schema spells them; nothing else is checked. */
export const readJson = async (request: IncomingMessage, schema: z.ZodType): Promise<unknown> =>
  parseJson(await readBody(request), schema)

/** As `readJson`, for a body that was read. */
export const parseJson = (body: Buffer, schema: z.ZodType): unknown => {
  const text = body.toString('utf8')
  if (text.trim() === '') return {}
  try {
    return speltAs(schema, JSON.parse(text))
  } catch (error) {
    throw invalid(`invalid JSON in the request body: ${(error as Error).message}`)
  }
}
