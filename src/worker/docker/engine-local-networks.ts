import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import type { Network } from '../../api/network.ts'
import {
  CONFIG_FROM_LABEL,
  isConfigNetwork,
  isNodeLocalName,
  noConfigNetwork,
  nodeLocalName,
} from '../../api/node-local-network.ts'
import { OVERLAY_BRIDGE_LABEL, OVERLAY_NAME_LABEL } from '../../api/overlay-bridge.ts'
import type { LocalNetworks } from '../node-networks.ts'
import { NODE_ID_LABEL } from './container-body.ts'
import { type EngineClient, SLOW_TIMEOUT_MS } from './engine-client.ts'

/** What of `GET /networks/{name}` a configuration-only network gives to others. */
export interface NetworkSettingsJson {
  Name: string
  ConfigOnly?: boolean
  EnableIPv4?: boolean
  EnableIPv6?: boolean
  IPAM?: object
  Options?: Record<string, string> | null
  Labels?: Record<string, string> | null
}

/**
 * The body of `POST /networks/create` for a node-local network. The settings are the node's own, read from its configuration-only network:
 * with a reference to that instead the Engine would take no labels, and nobody could tell whose the network is. Pure.
 */
export const localNetworkBody = (
  { ID, Spec }: Network,
  settings: NetworkSettingsJson | undefined,
): object => {
  const from = Spec.ConfigFrom?.Network
  return {
    Name: nodeLocalName(ID),
    CheckDuplicate: true,
    Driver: Spec.DriverConfiguration.Name,
    Internal: Spec.Internal,
    Attachable: Spec.Attachable,
    EnableIPv6: settings ? settings.EnableIPv6 === true : Spec.IPv6Enabled,
    ...(settings?.EnableIPv4 === false && { EnableIPv4: false }),
    ...(settings?.IPAM && { IPAM: settings.IPAM }),
    Options: settings?.Options ?? {},
    Labels: {
      ...(settings ? settings.Labels : Spec.Labels),
      [OVERLAY_BRIDGE_LABEL]: ID,
      [OVERLAY_NAME_LABEL]: Spec.Name,
      ...(from && { [CONFIG_FROM_LABEL]: from }),
    },
  }
}

/** Node-local networks in the local Docker Engine. */
export class EngineLocalNetworks implements LocalNetworks {
  readonly #engine: EngineClient

  constructor(deps: { engine: EngineClient }) {
    this.#engine = deps.engine
  }

  async ensure(network: Network): Promise<void> {
    if ((await this.#inspect(nodeLocalName(network.ID))) !== undefined) return
    const body = localNetworkBody(network, await this.#settings(network))
    try {
      await this.#engine.request({
        ...{ method: 'POST', path: '/networks/create', body },
        timeoutMs: SLOW_TIMEOUT_MS,
      })
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (error.code === 'ENGINE_UNAVAILABLE') throw error
      // Its name is taken: an earlier attempt came through although its answer was lost.
      if (error.code !== 'ALREADY_EXISTS') throw refusal(error.message, error)
    }
  }

  async removeUnused(isUsed: (networkId: string) => boolean): Promise<boolean> {
    const filters = JSON.stringify({ label: [OVERLAY_BRIDGE_LABEL] })
    const found = (await this.#engine.request({
      ...{ method: 'GET', path: '/networks', query: { filters } },
    })) as NetworkSettingsJson[]
    let isClean = true
    for (const { Name, Labels } of found) {
      if (!isNodeLocalName(Name) || isUsed(Labels?.[OVERLAY_BRIDGE_LABEL] ?? '')) continue
      const isGone = !(await this.#hasSingleContainers(Name)) && (await this.#remove(Name))
      isClean &&= isGone
    }
    return isClean
  }

  /** Whether containers are on it that are no tasks: one that has stopped the Engine may start again by itself, after its own restart or a reboot. */
  async #hasSingleContainers(name: string): Promise<boolean> {
    const filters = JSON.stringify({ network: [name] })
    const found = (await this.#engine.request({
      ...{ method: 'GET', path: '/containers/json', query: { all: '1', filters } },
    })) as { Labels?: Record<string, string> | null }[]
    return found.some(({ Labels }) => Labels?.[NODE_ID_LABEL] === undefined)
  }

  /** False: it is in use. */
  async #remove(name: string): Promise<boolean> {
    try {
      await this.#engine.request({
        ...{ method: 'DELETE', path: `/networks/${encodeURIComponent(name)}` },
        timeoutMs: SLOW_TIMEOUT_MS,
      })
      return true
    } catch (thrown) {
      const { code } = toSwarmctlError(thrown)
      if (code === 'ENGINE_UNAVAILABLE') throw thrown
      return code === 'NOT_FOUND'
    }
  }

  /** Of the network that it is configured from; undefined when it names none. */
  async #settings({ Spec }: Network): Promise<NetworkSettingsJson | undefined> {
    const from = Spec.ConfigFrom?.Network
    if (from === undefined) return undefined
    const found = await this.#inspect(from)
    if (isConfigNetwork(found, from)) return found
    throw refusal(noConfigNetwork(from))
  }

  async #inspect(name: string): Promise<NetworkSettingsJson | undefined> {
    try {
      const path = `/networks/${encodeURIComponent(name)}`
      return (await this.#engine.request({ method: 'GET', path })) as NetworkSettingsJson
    } catch (thrown) {
      if (toSwarmctlError(thrown).code === 'NOT_FOUND') return undefined
      throw thrown
    }
  }
}

const refusal = (message: string, cause?: Error): SwarmctlError =>
  new SwarmctlError('FAILED_PRECONDITION', message, { cause })
