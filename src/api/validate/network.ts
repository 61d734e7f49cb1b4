import { invalid, SwarmctlError } from '../errors.ts'
import { NetworkCreate } from '../network.ts'
import { parseBody } from './body.ts'
import { requireIpam } from './ipam.ts'
import { requireDnsName } from './names.ts'

/** Names that every Engine has for its own networks. */
export const PREDEFINED_NETWORKS = ['host', 'bridge', 'none'] as const

/** Marks the cluster's objects for them. */
export const PREDEFINED_LABEL = 'com.docker.swarm.predefined'

/** Ours, in `DriverConfiguration.Name`. */
export const OVERLAY_DRIVER = 'overlay'

/** The Engine's option for a network's MTU. */
export const MTU_OPTION = 'com.docker.network.driver.mtu'

/** A checked request, and what of it has no effect here. */
export interface CheckedNetwork {
  request: NetworkCreate
  warning: string
}

const unimplemented = (message: string): SwarmctlError =>
  new SwarmctlError('UNIMPLEMENTED', message)

/** @throws SwarmctlError INVALID_ARGUMENT, UNIMPLEMENTED, PERMISSION_DENIED */
export const parseNetworkCreate = (body: unknown): CheckedNetwork => {
  const request = parseBody(NetworkCreate, body)
  if ((PREDEFINED_NETWORKS as readonly string[]).includes(request.Name)) {
    throw new SwarmctlError(
      'PERMISSION_DENIED',
      `network with name ${request.Name} already exists: it is a predefined network`,
    )
  }
  requireDnsName(request.Name)
  if (request.Driver !== OVERLAY_DRIVER) {
    throw invalid(`invalid driver ${request.Driver}: a swarm-scoped network is an overlay`)
  }
  if (request.EnableIPv4 === false)
    throw invalid('IPv4 cannot be disabled in a Swarm scoped network')
  if (request.Ingress && request.Attachable) throw invalid('ingress network cannot be attachable')
  if (request.ConfigFrom?.Network) {
    throw unimplemented('an overlay takes its settings from no configuration-only network')
  }
  requireIpv6Mtu(request)
  const unused = requireIpam(request)
  return { request, warning: unused.map((one) => `network ${request.Name}: ${one}`).join('; ') }
}

/** Smallest MTU of IPv6, bytes (RFC 8200 §5). */
const IPV6_MTU_MIN = 1280

const requireIpv6Mtu = ({ EnableIPv6, Options }: NetworkCreate): void => {
  const mtu = Number(Options[MTU_OPTION] ?? IPV6_MTU_MIN)
  if (EnableIPv6 && mtu > 0 && mtu < IPV6_MTU_MIN)
    throw invalid(`invalid ${MTU_OPTION} ${mtu}: IPv6 needs ${IPV6_MTU_MIN}`)
}
