import type { ServerResponse } from 'node:http'
import { toSwarmctlError } from '../api/errors.ts'

/** Sends a JSON body as the Engine does: one line and a newline. */
export const sendJson = (response: ServerResponse, status: number, body: unknown): void => {
  const text = Buffer.from(`${JSON.stringify(body)}\n`)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': text.length,
  })
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
