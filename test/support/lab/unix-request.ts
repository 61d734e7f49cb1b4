/** One HTTP request over a Unix socket: to an Engine, or to a swarmctl daemon. */
import { request } from 'node:http'
import type { Readable } from 'node:stream'

/** A request's optional parts. */
export interface UnixRequestOptions {
  /** Default GET, or POST when there is a body. */
  readonly method?: string
  /** Sent as JSON; a stream is sent as it is, as a tar archive. */
  readonly body?: unknown
  readonly stream?: Readable
  readonly headers?: Readonly<Record<string, string>>
  /** Default 30 s. */
  readonly timeoutMs?: number
}

/** Any answer, errors included. */
export interface UnixResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** Parses `text`; throws when it is not JSON. */
  json<T>(): T
}

const TIMEOUT_MS = 30_000

/** Resolves with whatever status is answered; rejects when nobody answers in time. */
export function unixRequest(
  socketPath: string,
  path: string,
  options: UnixRequestOptions = {},
): Promise<UnixResponse> {
  const { body, stream } = options
  const hasBody = body !== undefined || stream !== undefined
  const contentType = stream === undefined ? 'application/json' : 'application/x-tar'
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath,
      path,
      method: options.method ?? (hasBody ? 'POST' : 'GET'),
      headers: { ...(hasBody ? { 'content-type': contentType } : {}), ...options.headers },
      timeout: options.timeoutMs ?? TIMEOUT_MS,
      agent: false,
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${path}: no answer in time`)))
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text,
          json: <T>() => JSON.parse(text) as T,
        })
      })
    })
    if (stream !== undefined) stream.on('error', reject).pipe(outgoing)
    else outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
