import { isDeepStrictEqual } from 'node:util'
import { parseIpv4 } from '../api/ipv4.ts'

/** A container that was there before it came to an overlay: its resolver asks other servers, from other addresses. */
export interface NameClient {
  /** Its address on the overlay, without mask. */
  address: string
  /** This node's gateway there: where our DNS listens. */
  gateway: string
  /** Its addresses on other networks of the Engine. */
  sources: readonly string[]
  /** Servers that it was given itself; else it has the host's. */
  nameservers: readonly string[]
}

/** What the Engine gives containers of a host that has only loopback servers (libnetwork `resolvconf`). */
const ENGINE_NAMESERVERS = ['8.8.8.8', '8.8.4.4']

const isReachable = (server: string): boolean =>
  parseIpv4(server) !== undefined && !server.startsWith('127.')

/** The servers that the Engine gives containers which ask for none, by the host's resolv.conf files in the Engine's order. */
export const engineNameservers = (files: readonly (readonly string[])[]): readonly string[] => {
  for (const servers of files) {
    const reachable = servers.filter(isReachable)
    if (reachable.length > 0) return reachable
  }
  return ENGINE_NAMESERVERS
}

/**
 * The containers whose questions have to be led to our DNS server. What they ask their own servers arrives there by translation, from
 * whichever of their addresses it came.
 */
export class NameClients {
  /** By task id. */
  readonly #clients = new Map<string, NameClient>()

  get isEmpty(): boolean {
    return this.#clients.size === 0
  }

  /** Whether that is news. */
  set(taskId: string, client: NameClient): boolean {
    if (isDeepStrictEqual(this.#clients.get(taskId), client)) return false
    this.#clients.set(taskId, client)
    return true
  }

  /** Whether there was one. */
  delete(taskId: string): boolean {
    return this.#clients.delete(taskId)
  }

  /** The overlay address of the container that asks from an address. */
  addressOf(source: string): string {
    for (const { address, sources } of this.#clients.values())
      if (sources.includes(source)) return address
    return source
  }

  /** Where the container's other questions go; empty: to the host's servers. */
  nameserversOf(address: string): readonly string[] {
    for (const client of this.#clients.values())
      if (client.address === address) return client.nameservers
    return []
  }

  /** `source . server` → our own server. A container that is on several overlays may ask at any of them. */
  redirects(hostServers: readonly string[]): Map<string, string> {
    const redirects = new Map<string, string>()
    for (const { address, gateway, nameservers, sources } of this.#clients.values()) {
      const servers = nameservers.length > 0 ? nameservers.filter(isReachable) : hostServers
      for (const source of [address, ...sources])
        for (const server of servers) redirects.set(`${source} . ${server}`, gateway)
    }
    return redirects
  }
}
