import type { IncomingMessage } from 'node:http'
import { invalid } from '../api/errors.ts'

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

/** Reads and parses a JSON body; an absent one is `{}`. */
export const readJson = async (request: IncomingMessage): Promise<unknown> =>
  parseJson(await readBody(request))

/** Parses a JSON body that was read; an empty one is `{}`. */
export const parseJson = (body: Buffer): unknown => {
  const text = body.toString('utf8')
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(`invalid JSON in the request body: ${(error as Error).message}`)
  }
}
