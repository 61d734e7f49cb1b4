import type { Clock } from '../api/clock.ts'
import { isManager } from './membership.ts'
import type { SwarmPort } from './ports.ts'
import { type SwarmEvent, swarmEvent } from './swarm-events.ts'

/** Events kept for `?since=`: as many as the Engine keeps of its own (moby `daemon/events`). */
const EVENTS_KEPT_MAX = 256

const NS_PER_S = 1_000_000_000

/** The time of a `since` or `until` parameter in nanoseconds: Unix seconds with a fraction, or a date; undefined for what is neither. */
const timeNano = (text: string | null): number | undefined => {
  if (!text) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * NS_PER_S
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms * 1_000_000
}

/** The swarm's last events, as this manager has seen them. */
export class EventHistory {
  readonly #port: SwarmPort
  readonly #clock: Clock
  readonly #events: SwarmEvent[] = []
  /** The membership that it listens to; a node that joins anew is another one. */
  #nodeId = ''
  #stop: (() => void) | undefined

  constructor(deps: { port: SwarmPort; clock: Clock }) {
    this.#port = deps.port
    this.#clock = deps.clock
  }

  /** Begins to listen once this node is a manager; called with every request, since nobody says when that is. */
  follow(): void {
    const status = this.#port.status()
    const nodeId = isManager(status) ? status.nodeId : ''
    if (nodeId !== this.#nodeId) {
      this.#stop?.()
      this.#stop = undefined
      this.#nodeId = nodeId
      this.#events.length = 0
    }
    if (nodeId === '') return
    // A node that was demoted and promoted, or went on alone, is the same and has another state.
    this.#stop ??= this.#port.watch(
      (changes) => {
        for (const change of changes) this.#keep(swarmEvent(change, this.#clock.nowMs()))
      },
      () => {
        this.#stop = undefined
      },
    )
  }

  /** Those that a client asks for by `since`; without it none, as with the Engine. */
  since(query: URLSearchParams): SwarmEvent[] {
    const from = timeNano(query.get('since'))
    if (from === undefined) return []
    const until = timeNano(query.get('until')) ?? Number.POSITIVE_INFINITY
    return this.#events.filter((event) => event.timeNano >= from && event.timeNano <= until)
  }

  #keep(event: SwarmEvent | undefined): void {
    if (event === undefined) return
    this.#events.push(event)
    if (this.#events.length > EVENTS_KEPT_MAX) this.#events.shift()
  }
}
