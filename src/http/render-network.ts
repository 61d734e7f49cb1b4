import type { Network } from '../api/network.ts'
import { isOlder } from './api-version.ts'

/** Older clients know no network without IPv4. */
export const IPV4_SINCE = '1.48'

/** Label of the local bridge networks that implement an overlay on this node (`overlay/names.ts`); its value is the overlay's id. */
export const OVERLAY_BRIDGE_LABEL = 'swarmctl.network'
/** The overlay's name, on the same bridges. */
const OVERLAY_NAME_LABEL = 'com.docker.swarm.network.name'

/** A network as the Engine lists it. */
export interface LocalNetwork {
  Id: string
  Name: string
  Driver: string
  Scope: string
  Labels?: Record<string, string> | null
}

/** An overlay's bridge as what it stands for: all that a worker knows of the overlay. */
export const renderBridge = (bridge: LocalNetwork) => ({
  ...bridge,
  Id: bridge.Labels?.[OVERLAY_BRIDGE_LABEL] ?? '',
  Name: bridge.Labels?.[OVERLAY_NAME_LABEL] ?? '',
  Driver: 'overlay',
  Scope: 'swarm',
  Options: {},
  Labels: {},
})

export const isBridge = ({ Labels }: LocalNetwork): boolean =>
  Labels?.[OVERLAY_BRIDGE_LABEL] !== undefined

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
    Driver: network.Spec.IPAMOptions.Driver?.Name ?? 'default',
    Options: network.Spec.IPAMOptions.Driver?.Options ?? null,
    Config: network.IPAMOptions.Configs.map((config) => ({
      Subnet: config.Subnet,
      ...(config.Range !== undefined && { IPRange: config.Range }),
      Gateway: config.Gateway ?? '',
    })),
  },
  Internal: network.Spec.Internal,
  Attachable: network.Spec.Attachable,
  Ingress: network.Spec.Ingress,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: network.Spec.DriverConfiguration.Options,
  Labels: network.Spec.Labels,
})
