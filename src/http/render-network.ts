import type { Network } from '../api/network.ts'

/** Label of the local bridge networks that implement an overlay on this node: hidden from `network ls`. */
export const OVERLAY_BRIDGE_LABEL = 'swarmctl.overlay'

/** A swarm-scoped network in the shape of `GET /networks` (which spells the id `Id`). */
export const renderNetwork = (network: Network) => ({
  Name: network.Spec.Name,
  Id: network.ID,
  Created: network.CreatedAt,
  Scope: 'swarm',
  Driver: network.Spec.DriverConfiguration.Name,
  EnableIPv6: network.Spec.IPv6Enabled,
  IPAM: {
    Driver: network.Spec.IPAMOptions.Driver?.Name ?? 'default',
    Options: null,
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
  Containers: null,
  Options: network.Spec.DriverConfiguration.Options,
  Labels: network.Spec.Labels,
})
