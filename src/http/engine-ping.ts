import { request as httpRequest } from 'node:http'
import type { Clock } from '../api/clock.ts'
import type { EnginePort } from './ports.ts'

/** Headers of the Engine's own `/_ping` that tell clients what it can build and run. */
const HEADERS = {
  'builder-version': 'Builder-Version',
  'docker-experimental': 'Docker-Experimental',
}

/** How long an answer is good: every docker command pings first. */
const TTL_MS = 10_000
/** A client's ping must not hang with the Engine. */
const LIMIT_MS = 2000

/** What the Engine says of itself in `/_ping`, kept for a short time; the last known while it is down. */
export class EnginePing {
  readonly #engine: EnginePort
  readonly #clock: Clock
  #headers: Record<string, string> = { 'Docker-Experimental': 'false' }
  #goodUntilMs = Number.NEGATIVE_INFINITY

  constructor(deps: { engine: EnginePort; clock: Clock }) {
    this.#engine = deps.engine
    this.#clock = deps.clock
  }

  async headers(): Promise<Record<string, string>> {
    const nowMs = this.#clock.nowMs()
    // Further away than that: the clock was set back.
    if (nowMs >= this.#goodUntilMs || nowMs < this.#goodUntilMs - TTL_MS) {
      this.#headers = (await this.#ask()) ?? this.#headers
      this.#goodUntilMs = nowMs + TTL_MS
    }
    return this.#headers
  }

  #ask(): Promise<Record<string, string> | undefined> {
    return new Promise((resolve) => {
      const request = httpRequest({ ...this.#engine.address(), path: '/_ping', agent: false })
      const cancel = this.#clock.schedule(LIMIT_MS, () => request.destroy(new Error('too slow')))
      request.on('error', () => resolve(undefined))
      request.on('close', cancel)
      request.on('response', (answer) => {
        answer.resume()
        resolve(
          Object.fromEntries(
            Object.entries(HEADERS).flatMap(([key, name]) => {
              const value = answer.headers[key]
              return typeof value === 'string' ? [[name, value]] : []
            }),
          ),
        )
      })
      request.end()
    })
  }
}
