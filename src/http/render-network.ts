import type { Network } from '../api/network.ts'
import { CONFIG_FROM_LABEL, isNodeLocal, isNodeLocalName } from '../api/node-local-network.ts'
import { OVERLAY_BRIDGE_LABEL, OVERLAY_NAME_LABEL } from '../api/overlay-bridge.ts'
import { isOlder } from './api-version.ts'

/** Older clients know no network without IPv4. */
export const IPV4_SINCE = '1.48'

/** A network as the Engine lists it. */
export interface LocalNetwork {
  Id: string
  Name: string
  Driver: string
  Scope: string
  Labels?: Record<string, string> | null
}

/** A network that the node made as what it stands for: all that a worker knows of the cluster's. A node-local one is as its Engine has it. */
export const renderBridge = (bridge: LocalNetwork) => {
  const {
    [OVERLAY_BRIDGE_LABEL]: Id = '',
    [OVERLAY_NAME_LABEL]: Name = '',
    [CONFIG_FROM_LABEL]: from = '',
    ...Labels
  } = bridge.Labels ?? {}
  const shown = { ...bridge, Id, Name, Scope: 'swarm' }
  return isNodeLocalName(bridge.Name)
    ? { ...shown, ConfigFrom: { Network: from }, Labels }
    : { ...shown, Driver: 'overlay', Options: {}, Labels: {} }
}

export const isBridge = ({ Labels }: LocalNetwork): boolean =>
  Labels?.[OVERLAY_BRIDGE_LABEL] !== undefined

/** What was asked for, as it was, with what was given to it; then what nobody asked for. */
const poolsOf = ({ Spec, IPAMOptions }: Network) => {
  const isSame = ({ Subnet }: { Subnet?: string }, other: { Subnet?: string }) =>
    Subnet === other.Subnet
  const asked = Spec.IPAMOptions.Configs.map((pool) => ({
    ...IPAMOptions.Configs.find((given) => isSame(given, pool)),
    ...pool,
  }))
  const given = IPAMOptions.Configs.filter((pool) => !asked.some((other) => isSame(other, pool)))
  return [...asked, ...given].map(({ Subnet, Range, Gateway = '', ...rest }) => ({
    Subnet,
    ...(Range !== undefined && { IPRange: Range }),
    Gateway,
    ...rest,
  }))
}

/** A swarm-scoped network in the shape of `GET /networks` (which spells the id `Id`). */
export const renderNetwork = (network: Network, version: string | undefined) => ({
  Name: network.Spec.Name,
  Id: network.ID,
  Created: network.CreatedAt,
  Scope: 'swarm',
  Driver: network.Spec.DriverConfiguration.Name,
  ...(!isOlder(version, IPV4_SINCE) && { EnableIPv4: true }),
  EnableIPv6: network.Spec.IPv6Enabled,
  IPAM: {
    Driver: isNodeLocal(network) ? '' : (network.Spec.IPAMOptions.Driver?.Name ?? 'default'),
    Options: isNodeLocal(network) ? null : (network.Spec.IPAMOptions.Driver?.Options ?? null),
    Config: isNodeLocal(network) ? [] : poolsOf(network),
  },
  Internal: network.Spec.Internal,
  Attachable: network.Spec.Attachable,
  Ingress: network.Spec.Ingress,
  ConfigFrom: { Network: network.Spec.ConfigFrom?.Network ?? '' },
  ConfigOnly: false,
  Containers: {},
  Options: isNodeLocal(network) ? null : network.Spec.DriverConfiguration.Options,
  Labels: network.Spec.Labels,
})
