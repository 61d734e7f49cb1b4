import type { AttachedEndpoint } from '../../../src/api/attachment-grant.ts'
import { notFound } from '../../../src/api/errors.ts'
import type {
  AttachedContainer,
  ContainerNetworks,
} from '../../../src/worker/container-networks.ts'

/** An Engine's containers and their networks in memory. */
export class MemoryContainerNetworks implements ContainerNetworks {
  readonly containers = new Map<string, AttachedContainer>()
  /** What was done, in order: `connect c1 swarmctl-5 10.5.1.2`, `disconnect c1 swarmctl-5`. */
  readonly calls: string[] = []
  /** Bridges that were removed and made anew since the containers were connected. */
  readonly renewed = new Set<string>()

  put(container: AttachedContainer): void {
    this.containers.set(container.id, container)
  }

  async list(): Promise<AttachedContainer[]> {
    return [...this.containers.values()].filter(({ endpoints }) => endpoints.length > 0)
  }

  async inspect(reference: string): Promise<AttachedContainer | undefined> {
    return [...this.containers.values()].find(({ id, name }) => [id, name].includes(reference))
  }

  async isCurrent(_containerId: string, dockerNetwork: string): Promise<boolean> {
    return !this.renewed.has(dockerNetwork)
  }

  async connect(containerId: string, endpoint: AttachedEndpoint): Promise<void> {
    this.calls.push(`connect ${containerId} ${endpoint.dockerNetwork} ${endpoint.address}`)
    this.#change(containerId, endpoint.dockerNetwork, [endpoint])
  }

  async disconnect(containerId: string, dockerNetwork: string): Promise<void> {
    this.calls.push(`disconnect ${containerId} ${dockerNetwork}`)
    this.#change(containerId, dockerNetwork, [])
  }

  #change(containerId: string, dockerNetwork: string, instead: AttachedEndpoint[]): void {
    const container = this.containers.get(containerId)
    if (container === undefined) throw notFound(`No such container: ${containerId}`)
    const others = container.endpoints.filter((one) => one.dockerNetwork !== dockerNetwork)
    this.containers.set(containerId, { ...container, endpoints: [...others, ...instead] })
  }
}
