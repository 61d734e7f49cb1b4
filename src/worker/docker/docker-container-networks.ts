import type { AttachedEndpoint } from '../../api/attachment-grant.ts'
import { readRecord, withRecord } from '../../api/attachment-record.ts'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import { isNodeLocalName } from '../../api/node-local-network.ts'
import { OVERLAY_BRIDGE_PREFIX } from '../../api/overlay-bridge.ts'
import type { AttachedContainer, ContainerNetworks } from '../container-networks.ts'
import { NODE_ID_LABEL } from './container-body.ts'
import { type EngineClient, SLOW_TIMEOUT_MS } from './engine-client.ts'
import { InspectEach } from './inspect-each.ts'
import { ofOneContainer } from './of-one-container.ts'

interface EndpointJson {
  NetworkID?: string
  IPAddress?: string
  IPAMConfig?: { IPv4Address?: string } | null
  DriverOpts?: Record<string, string> | null
}

/** What of `GET /containers/{id}/json` attachments need. */
interface AttachedJson {
  Id: string
  Name: string
  State: { Status: string; Pid?: number }
  NetworkSettings: { Networks?: Record<string, EndpointJson> | null }
}

const phaseOf = (status: string): AttachedContainer['phase'] => {
  switch (status) {
    case 'created':
      return 'created'
    case 'running':
    case 'paused':
    case 'restarting':
      return 'up'
    default:
      return 'ended'
  }
}

/** Pure. */
export const attachedContainer = (json: AttachedJson): AttachedContainer => ({
  id: json.Id,
  name: json.Name.replace(/^\//, ''),
  phase: phaseOf(json.State.Status),
  endpoints: Object.entries(json.NetworkSettings.Networks ?? {}).flatMap(
    ([dockerNetwork, endpoint]): AttachedEndpoint[] => {
      const record = readRecord(endpoint.DriverOpts)
      const address = endpoint.IPAMConfig?.IPv4Address || endpoint.IPAddress || ''
      return record === undefined ? [] : [{ dockerNetwork, address, record }]
    },
  ),
  pid: json.State.Pid ?? 0,
})

/** Attachments' view of the local Docker Engine. */
export class DockerContainerNetworks implements ContainerNetworks {
  readonly #engine: EngineClient
  readonly #inspectEach: InspectEach

  constructor(deps: { engine: EngineClient; log: Log }) {
    this.#engine = deps.engine
    this.#inspectEach = new InspectEach(deps)
  }

  async list(): Promise<AttachedContainer[]> {
    const all = (await this.#engine.request({
      method: 'GET',
      path: '/containers/json',
      query: { all: '1' },
    })) as {
      Id: string
      Labels?: Record<string, string> | null
      NetworkSettings: AttachedJson['NetworkSettings']
    }[]
    // The list lacks driver options: only who is on a bridge of ours is looked at.
    const candidates = all.filter(
      ({ Labels, NetworkSettings }) =>
        Labels?.[NODE_ID_LABEL] === undefined &&
        Object.keys(NetworkSettings.Networks ?? {}).some((name) =>
          name.startsWith(OVERLAY_BRIDGE_PREFIX),
        ),
    )
    // Of one that can't be inspected nobody knows what it is to have: it stays as it is.
    const found = await this.#inspectEach.run(
      candidates,
      ({ Id }) => this.inspect(Id),
      () => undefined,
    )
    return found.filter((one) => one !== undefined).filter(({ endpoints }) => endpoints.length > 0)
  }

  async inspect(reference: string): Promise<AttachedContainer | undefined> {
    const json = await this.#json(reference)
    return json && attachedContainer(json)
  }

  async isCurrent(containerId: string, dockerNetwork: string): Promise<boolean> {
    const path = `/networks/${encodeURIComponent(dockerNetwork)}`
    const [json, network] = await Promise.all([
      this.#json(containerId),
      this.#engine.request({ method: 'GET', path }) as Promise<{ Id: string }>,
    ])
    const id = json?.NetworkSettings.Networks?.[dockerNetwork]?.NetworkID
    // Empty before the first start: then the Engine goes by the name.
    return id === undefined || id === '' || id === network.Id
  }

  async connect(containerId: string, endpoint: AttachedEndpoint): Promise<void> {
    const { address, ipv6Address, dockerNetwork, record } = endpoint
    await this.#engine.request({
      method: 'POST',
      path: `/networks/${encodeURIComponent(dockerNetwork)}/connect`,
      body: {
        Container: containerId,
        EndpointConfig: {
          ...(address && {
            IPAMConfig: { IPv4Address: address, ...(ipv6Address && { IPv6Address: ipv6Address }) },
          }),
          ...(isNodeLocalName(dockerNetwork) && { Aliases: record.aliases }),
          DriverOpts: withRecord(undefined, record),
        },
      },
      timeoutMs: SLOW_TIMEOUT_MS,
    })
  }

  async disconnect(containerId: string, dockerNetwork: string): Promise<void> {
    const json = await this.#json(containerId)
    if (json?.NetworkSettings.Networks?.[dockerNetwork] === undefined) return
    await this.#engine.request({
      method: 'POST',
      path: `/networks/${encodeURIComponent(dockerNetwork)}/disconnect`,
      body: { Container: containerId, Force: true },
      timeoutMs: SLOW_TIMEOUT_MS,
    })
  }

  async #json(reference: string): Promise<AttachedJson | undefined> {
    try {
      const path = `/containers/${encodeURIComponent(reference)}/json`
      return (await ofOneContainer(this.#engine, { method: 'GET', path })) as AttachedJson
    } catch (thrown) {
      if (toSwarmctlError(thrown).code === 'NOT_FOUND') return undefined
      throw thrown
    }
  }
}
