import type { IncomingMessage } from 'node:http'
import Docker from 'dockerode'
import { SwarmctlError } from '../../api/errors.ts'
import { engineError } from './engine-error.ts'

type Method = 'GET' | 'POST' | 'DELETE'

/** One request to the Engine API. */
export interface EngineRequest {
  method: Method
  /** Without API version: the Engine's own newest one answers. */
  path: string
  query?: Record<string, string>
  body?: object
  /** The X-Registry-Auth header, as it is stored. */
  registryAuth?: string
  /** Milliseconds until it counts as not answering. */
  timeoutMs?: number
  signal?: AbortSignal
}

/** Any answer that says what the Engine did; others become errors. */
const SUCCESS = { 200: true, 201: true, 204: true, 304: true } as const

/** How long the Engine may take for what is quick, and for what waits for disks. Milliseconds. */
export const QUICK_TIMEOUT_MS = 20_000
export const SLOW_TIMEOUT_MS = 120_000

/** The longest time of a Node timer: a longer one would be over at once, and a grace period may be of months. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The Engine, or what it does for one container, took too long. */
export class EngineTimeout extends SwarmctlError {
  constructor(limitMs: number, cause: unknown) {
    const text = `the Docker Engine does not answer: nothing within ${limitMs / 1000} s`
    super('ENGINE_UNAVAILABLE', text, { cause })
  }
}

const timeoutSignal = (timeoutMs: number): AbortSignal =>
  AbortSignal.timeout(Math.min(timeoutMs, TIMER_MS_MAX))

/** The Engine API by dockerode's transport: sockets, TCP, TLS and ssh addresses as the docker CLI has them. */
export class EngineClient {
  readonly #docker: Docker
  /** Its containers are processes of this machine. */
  readonly isLocal: boolean

  /** `dockerHost`: `unix:///var/run/docker.sock` or `tcp://host:port`. */
  constructor(options: { dockerHost: string }) {
    this.isLocal = options.dockerHost.startsWith('unix://')
    this.#docker = new Docker(dockerOptions(options.dockerHost))
  }

  /** The parsed answer. @throws SwarmctlError, ENGINE_UNAVAILABLE when there is none */
  request(request: EngineRequest): Promise<unknown> {
    return this.#dial(request, false)
  }

  /** The answer as a stream of bytes; the time limit is until it begins. */
  stream(request: EngineRequest): Promise<IncomingMessage> {
    return this.#dial(request, true) as Promise<IncomingMessage>
  }

  #dial(request: EngineRequest, isStream: boolean): Promise<unknown> {
    const query = new URLSearchParams(request.query).toString()
    const limitMs = request.timeoutMs ?? QUICK_TIMEOUT_MS
    const limit = isStream ? undefined : timeoutSignal(limitMs)
    const signal = eitherOf(limit, request.signal)
    return new Promise((resolve, reject) => {
      this.#docker.modem.dial(
        {
          path: query === '' ? request.path : `${request.path}?${query}&`,
          method: request.method,
          isStream,
          ...(request.body === undefined ? {} : { options: { _body: request.body, _query: {} } }),
          ...(request.registryAuth === undefined
            ? {}
            : { authconfig: { key: request.registryAuth } }),
          ...(signal === undefined ? {} : { abortSignal: signal }),
          statusCodes: SUCCESS,
          // The types lack authconfig.key and the nullable answer.
        } as never,
        (error: unknown, answer: unknown) => {
          if (error) reject(limit?.aborted ? new EngineTimeout(limitMs, error) : engineError(error))
          else resolve(answer)
        },
      )
    })
  }
}

/** Most requests have one of both, which needs no composite. */
const eitherOf = (
  a: AbortSignal | undefined,
  b: AbortSignal | undefined,
): AbortSignal | undefined =>
  a === undefined || b === undefined ? (a ?? b) : AbortSignal.any([a, b])

const dockerOptions = (dockerHost: string): Docker.DockerOptions => {
  if (dockerHost.startsWith('unix://')) return { socketPath: dockerHost.slice('unix://'.length) }
  const url = new URL(dockerHost.replace(/^tcp:/, 'http:'))
  return { protocol: 'http', host: url.hostname, port: Number(url.port === '' ? 2375 : url.port) }
}
