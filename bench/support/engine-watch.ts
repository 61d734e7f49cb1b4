import { type ClientRequest, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabHost } from '../../test/support/lab/host.ts'

/** Between two looks at what the events have told; the times themselves are the Engines' own. */
const LOOK_MS = 10

/** A container of the watched service. */
export interface SeenContainer {
  readonly id: string
  readonly host: LabHost
  /** Milliseconds since the epoch, by the Engine's own event. All Engines of a lab share one clock. */
  readonly startedMs: number
}

interface EngineEvent {
  readonly Action: string
  readonly timeNano: number
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

/** What tells a container of the watched service from others. Both subjects name it by Swarm's own label. */
export const SERVICE_LABEL = 'com.docker.swarm.service.name'

/** Reads every Engine's own event stream: the same eyes for whoever started the containers. */
export class EngineWatch {
  readonly #service: string
  readonly #running = new Map<string, SeenContainer>()
  readonly #streams = new Map<LabHost, ClientRequest>()

  private constructor(service: string) {
    this.#service = service
  }

  /** Follows the events of `hosts` from now on; resolves when every Engine has answered. */
  static async open(hosts: readonly LabHost[], service: string): Promise<EngineWatch> {
    const watch = new EngineWatch(service)
    await Promise.all(hosts.map((host) => watch.#follow(host)))
    return watch
  }

  /** Those that run now, as far as the living hosts' Engines have told. */
  get running(): SeenContainer[] {
    return [...this.#running.values()]
  }

  /** The host is to die: what ran there runs no longer. */
  drop(host: LabHost): void {
    this.#streams.get(host)?.destroy()
    this.#streams.delete(host)
    for (const { id } of this.running.filter((seen) => seen.host === host)) this.#running.delete(id)
  }

  /**
   * Waits until `isReached`, then returns when the last of the running containers started.
   * Throws when it takes longer than `timeoutMs`, saying how far it got.
   */
  async until(
    what: string,
    isReached: (running: readonly SeenContainer[]) => boolean,
    timeoutMs: number,
  ): Promise<number> {
    const deadline = performance.now() + timeoutMs
    while (!isReached(this.running)) {
      if (performance.now() > deadline)
        throw new Error(`${what}: not within ${timeoutMs / 1000} s, ${this.#running.size} run`)
      await sleep(LOOK_MS)
    }
    return Math.max(...this.running.map(({ startedMs }) => startedMs))
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
  }

  #follow(host: LabHost): Promise<void> {
    const filters = JSON.stringify({ type: ['container'], event: ['start', 'die'] })
    // `since` closes the gap between the answer and the Engine's own subscription.
    const since = (Date.now() / 1000).toFixed(3)
    const path = `/events?since=${since}&filters=${encodeURIComponent(filters)}`
    return new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: host.dockerSocket, path, agent: false })
      this.#streams.set(host, outgoing)
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        let rest = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) if (line.trim() !== '') this.#note(host, JSON.parse(line))
        })
        // The Engine may die with its host: `drop` knows, and nothing more is to be heard.
        incoming.on('error', () => {})
        resolve()
      })
      outgoing.end()
    })
  }

  #note(host: LabHost, event: EngineEvent): void {
    const { ID: id, Attributes: attributes } = event.Actor
    if (attributes[SERVICE_LABEL] !== this.#service || !this.#streams.has(host)) return
    if (event.Action === 'start')
      this.#running.set(id, { id, host, startedMs: event.timeNano / 1e6 })
    else this.#running.delete(id)
  }
}
