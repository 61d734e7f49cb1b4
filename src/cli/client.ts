import type { IncomingMessage } from 'node:http'
import { request as httpRequest } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import { isErrorCode, SwarmctlError } from '../api/errors.ts'

/** The daemon's default API socket (design §3). */
export const DEFAULT_HOST = 'unix:///run/swarmctl/docker.sock'

/** `unix:///path` or `tcp://host:port`, as `docker -H` takes them. @throws SwarmctlError INVALID_ARGUMENT */
export const parseHost = (
  host: string,
): { socketPath: string } | { host: string; port: number } => {
  const unix = /^unix:\/\/(\/.+)$/.exec(host)
  if (unix) return { socketPath: unix[1] as string }
  const tcp = /^(?:tcp|http):\/\/([^:/]+|\[[^\]]+\]):(\d+)\/?$/.exec(host)
  if (tcp) return { host: (tcp[1] as string).replace(/[[\]]/g, ''), port: Number(tcp[2]) }
  throw new SwarmctlError(
    'INVALID_ARGUMENT',
    `invalid --host "${host}": unix:///path/to/socket or tcp://host:port`,
  )
}

/** One call of the Engine API. */
export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
  path: string
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

const withQuery = (path: string, query: Call['query']): string => {
  const wanted = Object.entries(query ?? {}).filter(([, value]) => value !== undefined)
  if (wanted.length === 0) return path
  const text = wanted.map(([key, value]): [string, string] => [key, String(value)])
  return `${path}?${new URLSearchParams(text)}`
}

const readText = async (answer: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

const parseText = (text: string): unknown => {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const STATUS_CODES = new Map([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ALREADY_EXISTS'],
  [501, 'UNIMPLEMENTED'],
  [503, 'UNAVAILABLE'],
] as const)

/** For Docker's clients the daemon says it in Docker's words, which tell nobody what to do. */
const BETWEEN = 'somebody else changed it at the same time: look at it, and run the command again'

const errorOf = (status: number, body: unknown): SwarmctlError => {
  const { message, code } = (typeof body === 'object' && body !== null ? body : {}) as {
    message?: string
    code?: unknown
  }
  const known = isErrorCode(code) ? code : (STATUS_CODES.get(status as 400) ?? 'INTERNAL')
  if (known === 'OUT_OF_SEQUENCE') return new SwarmctlError(known, BETWEEN)
  return new SwarmctlError(known, message ?? `the daemon answered ${status}: ${String(body)}`)
}

/** The answer; an error status is thrown with the daemon's line. */
const accepted = async (answer: IncomingMessage): Promise<IncomingMessage> => {
  const status = answer.statusCode ?? 500
  if (status < 400) return answer
  throw errorOf(status, parseText(await readText(answer)))
}

/** The socket, or the way to it, belongs to somebody else. */
const isForbidden = (error: unknown): boolean =>
  ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')

/** An archive of a folder fails at one of its files. */
const cantRead = (source: string, error: NodeJS.ErrnoException): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `can't read ${error.path ?? source}: ${error.message}`, {
    cause: error,
  })

/** Talks to a daemon's API socket. */
export class Client {
  readonly host: string

  constructor(host: string) {
    this.host = host
  }

  /** Calls and returns the parsed JSON body; an error status is thrown with the daemon's line. */
  async call<T = unknown>(call: Call): Promise<T> {
    const answer = await this.open(call)
    return parseText(await readText(answer)) as T
  }

  /** Calls and returns the open answer, for streams; an error status is thrown. */
  async open(call: Call): Promise<IncomingMessage> {
    return accepted(await this.#send(call))
  }

  /** Calls with a body that is written while the answer is read already; an error status is thrown. */
  async exchange(call: Omit<Call, 'body'>): Promise<{ input: Writable; answer: IncomingMessage }> {
    const { request, answered } = this.#begin(call, { 'Transfer-Encoding': 'chunked' })
    request.flushHeaders()
    try {
      return { input: request, answer: await accepted(await answered) }
    } catch (error) {
      request.destroy()
      throw error
    }
  }

  /**
   * Calls with a stream as the body and returns the parsed answer, which may come before the stream's end when it is an error. `source` is
   * what the stream is read of, for the line that says that it can't be.
   */
  async upload<T = unknown>(
    call: Omit<Call, 'body'> & { stream: Readable; source: string },
  ): Promise<T> {
    const { stream, source, ...rest } = call
    const { request, answered } = this.#begin(rest, { 'Transfer-Encoding': 'chunked' })
    // Told first: what the broken request says then is not what is wrong.
    const unreadable = new Promise<never>((_, reject) =>
      stream.on('error', (error) => {
        reject(cantRead(source, error))
        request.destroy()
      }),
    )
    stream.pipe(request)
    const answer = await Promise.race([unreadable, answered])
    const text = await Promise.race([unreadable, readText(answer)])
    const status = answer.statusCode ?? 500
    stream.unpipe(request)
    if (status < 400) return parseText(text) as T
    stream.destroy()
    throw errorOf(status, parseText(text))
  }

  /** Whether a daemon answers on the socket. @throws SwarmctlError when this user may not ask it */
  async isAlive(signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#send({ path: '/_ping', signal })
      answer.resume()
      return true
    } catch (error) {
      if (signal.aborted || isForbidden((error as SwarmctlError).cause)) throw error
      return false
    }
  }

  #send(call: Call): Promise<IncomingMessage> {
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body))
    const { request, answered } = this.#begin(
      call,
      body && { 'Content-Type': 'application/json', 'Content-Length': String(body.length) },
    )
    request.end(body)
    return answered
  }

  /** The request, whose body is still to come. */
  #begin(call: Omit<Call, 'body'>, headers: Record<string, string> = {}) {
    const request = httpRequest({
      ...parseHost(this.host),
      method: call.method ?? 'GET',
      path: withQuery(call.path, call.query),
      agent: false,
      ...(call.signal && { signal: call.signal }),
      headers: { Host: 'localhost', 'User-Agent': 'swarmctl', ...headers, ...call.headers },
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)))
    })
    return { request, answered }
  }

  #unreachable(error: NodeJS.ErrnoException): unknown {
    if (error.name === 'AbortError') return error
    const why = error.code ?? error.message
    const text = isForbidden(error)
      ? `you may not use the swarmctl daemon at ${this.host} (${why}): run the command as root or as a member of the group docker`
      : `no swarmctl daemon answers at ${this.host} (${why}): start one with "swarmctl init", "swarmctl join" or "swarmctl daemon", or name its socket with --host or SWARMCTL_HOST`
    return new SwarmctlError('UNAVAILABLE', text, { cause: error })
  }
}
