import type { PortConfig } from '../../api/service-spec.ts'

/** Ports of the nodes that what is converted together takes. Each is there once, for a node has no address for each service. */
export class PublishedPorts {
  readonly #owners = new Map<string, { owner: string; mode: PortConfig['PublishMode'] }>()

  /** Takes them. Returned: the first that another one has, and which. */
  take(
    ports: readonly PortConfig[],
    owner: string,
  ): { port: PortConfig; takenBy: string } | undefined {
    for (const port of ports) {
      if (!port.PublishedPort) continue
      const key = `${port.PublishedPort}/${port.Protocol}`
      const known = this.#owners.get(key)
      // Tasks on different nodes may each bind a port of theirs.
      const isBoth = known?.mode === 'host' && port.PublishMode === 'host'
      if (known !== undefined && !isBoth) return { port, takenBy: known.owner }
      this.#owners.set(key, { owner, mode: port.PublishMode })
    }
    return undefined
  }
}
