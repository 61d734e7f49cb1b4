import type { ServerResponse } from 'node:http'
import { toSwarmctlError } from '../api/errors.ts'

/** Sends a JSON body as the Engine does: one line and a newline. */
export const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  })
  // As text it goes out in one piece with the headers.
  response.end(text)
}

/** Sends a status without a body (204, or the Engine's empty 200). */
export const sendEmpty = (response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'Content-Length': 0 })
  response.end()
}

/** The Engine API's error body; after the headers are out only the connection can be cut. */
export const sendError = (response: ServerResponse, thrown: unknown): void => {
  const error = toSwarmctlError(thrown)
  if (response.headersSent) {
    response.destroy()
    return
  }
  sendJson(response, error.httpStatus, { message: error.message, code: error.code })
}

/** Writes a part of a body that is sent as it comes; resolves when more may be written, or when nobody reads any more. */
export const writePart = (response: ServerResponse, part: Uint8Array): Promise<void> => {
  // A write after the end would be an error that nobody handles.
  if (response.destroyed || response.writableEnded) return Promise.resolve()
  if (response.write(part)) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}
