import type { PublishedEndpoint } from '../forwarding-table.ts'

/** Endpoints tried for one connection: enough to get past a few that went without notice, few enough to answer in time. */
const ATTEMPTS_MAX = 4

/** Round robin over a port's endpoints, as they are now. */
export class EndpointRing {
  #endpoints: readonly PublishedEndpoint[] = []
  #next = 0

  set(endpoints: readonly PublishedEndpoint[]): void {
    this.#endpoints = endpoints
  }

  has({ addr, port }: Pick<PublishedEndpoint, 'addr' | 'port'>): boolean {
    return this.#endpoints.some((one) => one.addr === addr && one.port === port)
  }

  /** The endpoints that a new connection is to try, in this order; none when there is none. */
  candidates(): PublishedEndpoint[] {
    const count = this.#endpoints.length
    if (count === 0) return []
    const first = this.#next % count
    this.#next = first + 1
    const ring = [...this.#endpoints.slice(first), ...this.#endpoints.slice(0, first)]
    return ring.slice(0, ATTEMPTS_MAX)
  }
}
