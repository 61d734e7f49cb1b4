import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { request as httpRequest, STATUS_CODES } from 'node:http'
import { createConnection } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ErrorCode, SwarmctlError } from '../api/errors.ts'
import { passHalfClose } from './half-close.ts'
import type { EnginePort } from './ports.ts'
import { sendError } from './reply.ts'
import type { Exchange } from './routes.ts'

/** How long the Engine may take for a document: one that hangs must not take the swarm's answers with it. Milliseconds. */
const DOCUMENT_LIMIT_MS = 10_000

/** One line for an Engine that does not answer. */
export const engineUnavailable = (cause: unknown): SwarmctlError =>
  new SwarmctlError(
    'ENGINE_UNAVAILABLE',
    `the local Docker Engine does not answer (${(cause as Error).message}); start it, e.g. with systemctl start docker`,
    { cause },
  )

/** What of a request is not as it came. */
interface Instead {
  /** Stands for a body already read. */
  body?: Buffer
  url?: string
}

/** Of one connection alone (RFC 9110, 7.6.1): the Engine's says nothing about the client's, which may be of HTTP/1.0. */
const CONNECTION_HEADERS = new Set(['connection', 'keep-alive', 'transfer-encoding'])

/** The headers of an Engine's answer that are meant for its reader. */
export const answerHeaders = ({ headers }: IncomingMessage): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !CONNECTION_HEADERS.has(name)))

/** Passes a request on to the local Engine, both bodies streamed. */
export const proxyToEngine = (
  engine: EnginePort,
  request: IncomingMessage,
  response: ServerResponse,
  { body, url = request.url ?? '/' }: Instead = {},
): void => {
  // Nobody would end the call of a client that went away before: 'close' is told once.
  if (response.destroyed) return
  const upstream = httpRequest({
    ...engine.address(),
    method: request.method,
    path: url,
    headers: request.headers,
    agent: false,
  })
  let isAnswered = false
  upstream.on('response', (answer) => {
    isAnswered = true
    response.writeHead(answer.statusCode ?? 502, answerHeaders(answer))
    // Streams such as `logs --follow` show their head before the first line.
    response.flushHeaders()
    answer.pipe(response)
    answer.on('error', () => response.destroy())
  })
  upstream.on('error', (error) => {
    // An Engine that refuses a large body answers and closes: what it did not read must not cost the client the answer.
    if (!isAnswered) sendError(response, engineUnavailable(error))
  })
  upstream.on('close', () => {
    // Who still sends reads the answer after that.
    request.unpipe(upstream)
    request.resume()
  })
  response.on('close', () => upstream.destroy())
  passHalfClose(request, response, upstream)
  if (body) return void upstream.end(body)
  // Ended apart from its head it could meet an Engine that has answered and closed already, and fail for nothing.
  if (!hasBody(request)) return void upstream.end()
  // The Engine may answer before the first byte of a streamed body.
  upstream.flushHeaders()
  request.pipe(upstream)
}

/** Has the local Engine answer an exchange, at the API version that it knows; `body` stands for a body already read. */
export const passToEngine = (
  { engine, request, response, engineUrl }: Exchange,
  body?: Buffer,
): void => proxyToEngine(engine, request, response, { url: engineUrl, ...(body && { body }) })

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/**
 * Rebuilds a request's head as it came in. An Engine that does not hijack the connection is to close it with its answer: what a client sent
 * over it later would be the Engine's to answer, whatever it asks for.
 */
const requestHead = ({ method, url, rawHeaders }: IncomingMessage): string => {
  const lines = [`${method} ${url} HTTP/1.1`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const isConnection = name.toLowerCase() === 'connection'
    lines.push(`${name}: ${rawHeaders[at + 1]}${isConnection ? ', close' : ''}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** An error answer as bytes, for a connection that has no response object. */
const errorReply = (error: SwarmctlError): string => {
  const body = `${JSON.stringify({ message: error.message, code: error.code })}\n`
  return [
    `HTTP/1.1 ${error.httpStatus} ${STATUS_CODES[error.httpStatus]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

/** Passes a hijacked connection (attach, exec, build sessions) on to the Engine; each side may close its half first. */
export const proxyUpgrade = (
  engine: EnginePort,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
): void => {
  const address = engine.address()
  const upstream = createConnection({
    ...('socketPath' in address ? { path: address.socketPath } : address),
    allowHalfOpen: true,
  })
  let isConnected = false
  upstream.on('connect', () => {
    isConnected = true
    upstream.write(requestHead(request))
    upstream.write(head)
    client.pipe(upstream)
    upstream.pipe(client)
  })
  upstream.on('error', (error) => {
    // Before anything was sent the client still reads HTTP.
    if (isConnected) client.destroy()
    else client.end(errorReply(engineUnavailable(error)))
  })
  client.on('error', () => upstream.destroy())
  client.on('close', () => upstream.destroy())
}

/** What the Engine refuses for good. All else may be over in a moment: 503 lets clients try again. */
const REFUSALS: ReadonlyMap<number | undefined, ErrorCode> = new Map([
  [400, 'INVALID_ARGUMENT'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ALREADY_EXISTS'],
])

/** The Engine's words for what it does not do. */
const refusal = (status: number | undefined, message: string): SwarmctlError =>
  new SwarmctlError(REFUSALS.get(status) ?? 'ENGINE_UNAVAILABLE', message)

/**
 * Gets a JSON document from the Engine, which may be silent for `limitMs`.
 * @throws SwarmctlError ENGINE_UNAVAILABLE, or of REFUSALS
 */
export const engineJson = (
  engine: EnginePort,
  path: string,
  limitMs = DOCUMENT_LIMIT_MS,
  method: 'GET' | 'POST' = 'GET',
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const options = { ...engine.address(), path, method, agent: false }
    const upstream = httpRequest(options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', (error) => reject(engineUnavailable(error)))
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        try {
          const body = JSON.parse(text)
          if ((answer.statusCode ?? 500) < 400) resolve(body)
          else reject(refusal(answer.statusCode, String(body.message)))
        } catch (error) {
          reject(engineUnavailable(error))
        }
      })
    })
    upstream.setTimeout(limitMs, () => upstream.destroy(new Error(`silent for ${limitMs} ms`)))
    upstream.on('error', (error) => reject(engineUnavailable(error)))
    upstream.end()
  })
