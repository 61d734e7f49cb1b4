import type { PublishedEndpoint } from '../forwarding-table.ts'

/** Endpoints tried for one connection: enough to get past a few that went without notice, few enough to answer in time. */
const ATTEMPTS_MAX = 4

const NONE: ReadonlySet<PublishedEndpoint> = new Set()

type Place = Pick<PublishedEndpoint, 'addr' | 'port'>

/** A newer view names the same place by another object. */
const isAmong = ({ addr, port }: Place, others: Iterable<Place>): boolean => {
  for (const other of others) if (other.addr === addr && other.port === port) return true
  return false
}

/** Round robin over a port's endpoints, as they are now. */
export class EndpointRing {
  #endpoints: readonly PublishedEndpoint[] = []
  #next = 0

  set(endpoints: readonly PublishedEndpoint[]): void {
    this.#endpoints = endpoints
  }

  has(place: Place): boolean {
    return isAmong(place, this.#endpoints)
  }

  /** The endpoint that a new connection is to try after those; undefined when none is left, or enough were tried. */
  next(tried: ReadonlySet<PublishedEndpoint> = NONE): PublishedEndpoint | undefined {
    if (tried.size >= ATTEMPTS_MAX) return undefined
    const count = this.#endpoints.length
    for (let step = 0; step < count; step++) {
      const at = (this.#next + step) % count
      const endpoint = this.#endpoints[at]
      if (endpoint === undefined || isAmong(endpoint, tried)) continue
      this.#next = at + 1
      return endpoint
    }
    return undefined
  }
}
