import { readRecord, withoutRecord } from '../api/attachment-record.ts'
import { type LocalNetwork, renderBridge } from './render-network.ts'

/** What of the Engine's description of a container names networks. */
export interface ContainerNetworksJson {
  HostConfig?: {
    NetworkMode?: string
    Dns?: string[] | null
    DnsOptions?: string[] | null
    DnsSearch?: string[] | null
  }
  NetworkSettings?: { Networks?: Record<string, EndpointJson> | null }
}

interface EndpointJson {
  NetworkID?: string
  Aliases?: string[] | null
  DriverOpts?: Record<string, string> | null
}

/** Names and ids of overlays by the names of their bridges on this node. */
export type Overlays = ReadonlyMap<string, { id: string; name: string }>

export const overlaysOf = (bridges: readonly LocalNetwork[]): Overlays =>
  new Map(
    bridges.map((bridge) => {
      const { Id: id, Name: name } = renderBridge(bridge)
      return [bridge.Name, { id, name }]
    }),
  )

const shownEndpoint = (endpoint: EndpointJson, id: string): EndpointJson => {
  const { DriverOpts, Aliases } = endpoint
  const record = readRecord(DriverOpts)
  if (record === undefined) return { ...endpoint, NetworkID: id }
  return {
    ...endpoint,
    NetworkID: id,
    Aliases: [...new Set([...record.aliases, ...(Aliases ?? [])])],
    DriverOpts: withoutRecord(DriverOpts ?? {}),
  }
}

/** What its user asked names to be resolved by, in the place of the overlay's servers. */
const shownResolver = (container: ContainerNetworksJson): object => {
  for (const { DriverOpts } of Object.values(container.NetworkSettings?.Networks ?? {})) {
    const resolver = readRecord(DriverOpts)?.resolver
    if (resolver === undefined) continue
    const { nameservers, options, search } = resolver
    return { Dns: nameservers, DnsOptions: options, DnsSearch: search }
  }
  return {}
}

/** A container as the client is to see it: on the cluster's networks, where the Engine has it on their bridges. */
export const withOverlays = <T extends ContainerNetworksJson>(
  container: T,
  overlays: Overlays,
): T => {
  const networks = Object.entries(container.NetworkSettings?.Networks ?? {})
  if (!networks.some(([name]) => overlays.has(name))) return container
  const mode = overlays.get(container.HostConfig?.NetworkMode ?? '')
  return {
    ...container,
    ...(container.HostConfig && {
      HostConfig: {
        ...container.HostConfig,
        ...(mode && { NetworkMode: mode.name }),
        ...shownResolver(container),
      },
    }),
    NetworkSettings: {
      ...container.NetworkSettings,
      Networks: Object.fromEntries(
        networks.map(([name, endpoint]) => {
          const overlay = overlays.get(name)
          return overlay ? [overlay.name, shownEndpoint(endpoint, overlay.id)] : [name, endpoint]
        }),
      ),
    },
  }
}

/** The filters of `GET /containers/json` as the Engine knows the networks. Both ways of JSON, list and map, stay as they are. */
export const withBridges = (filters: unknown, overlays: Overlays): unknown => {
  const { network, ...others } = (filters ?? {}) as { network?: string[] | Record<string, boolean> }
  if (network === undefined || typeof network !== 'object') return filters
  const values = Array.isArray(network) ? network : Object.keys(network)
  const known = values.map((value) => {
    const found = [...overlays].find(([, { id, name }]) => name === value || id === value)
    return found?.[0] ?? value
  })
  return { ...others, network: Object.fromEntries(known.map((name) => [name, true])) }
}
