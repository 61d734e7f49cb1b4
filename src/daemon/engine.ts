import Docker from 'dockerode'
import { invalid } from '../api/errors.ts'
import { API_VERSION_MAX, API_VERSION_MIN, type ApiVersions } from '../http/api-version.ts'
import { engineJson } from '../http/engine-proxy.ts'
import type { EnginePort } from '../http/ports.ts'
import { EngineClient, SLOW_TIMEOUT_MS } from '../worker/docker/engine-client.ts'

type EngineAddress = ReturnType<EnginePort['address']>

/** How long a known API version is good: an Engine may be upgraded while the daemon runs. */
const VERSION_TTL_MS = 10_000
/** An Engine that hangs or is down is asked again after this time; meanwhile requests don't wait for it. */
const VERSION_RETRY_MS = 1000
/** How long it may take to say its version: every request waits for that. */
const VERSION_LIMIT_MS = 2000

const PORT_MAX = 65_535

/** Reads `--docker-host`. */
export const parseEngineAddress = (dockerHost: string): EngineAddress => {
  const unix = /^unix:\/\/(\/.+)$/.exec(dockerHost)
  if (unix) return { socketPath: unix[1] as string }
  const tcp = /^(?:tcp|http):\/\/([^:/]+):(\d+)\/?$/.exec(dockerHost)
  const port = Number(tcp?.[2])
  if (tcp && port >= 1 && port <= PORT_MAX) return { host: tcp[1] as string, port }
  throw invalid(
    `invalid --docker-host "${dockerHost}": unix:///path/to/docker.sock or tcp://host:port`,
  )
}

/** The local Docker Engine, for the HTTP surface and, by dockerode, for the executor and the overlay. */
export class Engine implements EnginePort {
  /** For the overlay's bridge networks. */
  readonly docker: Docker
  /** For the executor. */
  readonly client: EngineClient
  readonly #address: EngineAddress
  readonly #nowMs: () => number
  #versions: ApiVersions = { oldest: API_VERSION_MIN, newest: API_VERSION_MAX }
  #versionsAtMs = Number.NEGATIVE_INFINITY

  /** `silenceMs`: how long an Engine may say nothing to what is asked for the overlay. */
  constructor(dockerHost: string, nowMs: () => number, silenceMs = SLOW_TIMEOUT_MS) {
    this.#address = parseEngineAddress(dockerHost)
    this.#nowMs = nowMs
    // One that hangs must not hold up for ever who leaves, and every task that is prepared.
    this.docker = new Docker({ ...this.#address, timeout: silenceMs })
    this.client = new EngineClient({ dockerHost })
  }

  address(): EngineAddress {
    return this.#address
  }

  /** Removes the Engine's networks with a label, those that nothing uses. */
  async removeNetworks(label: string): Promise<void> {
    for (const { Id } of await this.docker.listNetworks({ filters: { label: [label] } })) {
      // One that is in use again belongs to a swarm that was joined since.
      await this.docker
        .getNetwork(Id)
        .remove()
        .catch(() => {})
    }
  }

  async apiVersions(): Promise<ApiVersions> {
    const ageMs = this.#nowMs() - this.#versionsAtMs
    // Below 0: the clock was set back.
    if (ageMs >= 0 && ageMs < VERSION_TTL_MS) return this.#versions
    // At first also while the Engine is down: then the last one known, or our own, is told.
    this.#versionsAtMs = this.#nowMs()
    try {
      const { ApiVersion, MinAPIVersion } = (await engineJson(
        this,
        '/version',
        VERSION_LIMIT_MS,
      )) as { ApiVersion: string; MinAPIVersion?: string }
      this.#versions = { oldest: MinAPIVersion || API_VERSION_MIN, newest: ApiVersion }
    } catch {
      this.#versionsAtMs = this.#nowMs() - VERSION_TTL_MS + VERSION_RETRY_MS
    }
    return this.#versions
  }
}
