import { invalid, SwarmctlError } from '../errors.ts'
import { ENCRYPTED_OPTION, NetworkCreate } from '../network.ts'
import { parseBodyKeeping } from './body.ts'
import { withinWarnings } from './ineffective-fields.ts'
import { requireIpam } from './ipam.ts'
import { requireDnsName } from './names.ts'

/** Names that every Engine has for its own networks. */
export const PREDEFINED_NETWORKS = ['host', 'bridge', 'none'] as const

/** Marks the cluster's objects for them. */
export const PREDEFINED_LABEL = 'com.docker.swarm.predefined'

/** Ours, in `DriverConfiguration.Name`. */
export const OVERLAY_DRIVER = 'overlay'

/** The Engine's drivers whose networks each node makes by itself (libnetwork `cnmallocator/drivers_network_linux.go`). */
const NODE_LOCAL_DRIVERS: readonly string[] = ['bridge', 'host', 'ipvlan', 'macvlan']

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
  const { value: request, unknown } = parseBodyKeeping(NetworkCreate, body)
  const unused = [
    ...unknown.map((path) => `${path}: this field is not known here; it is not kept`),
    ...requireNetwork(request),
  ]
  const warnings = withinWarnings(unused)
  return { request, warning: warnings.map((one) => `network ${request.Name}: ${one}`).join('; ') }
}

/** What of it has no effect, one line each. */
const requireNetwork = (request: NetworkCreate): string[] => {
  if ((PREDEFINED_NETWORKS as readonly string[]).includes(request.Name)) {
    throw new SwarmctlError(
      'PERMISSION_DENIED',
      `network with name ${request.Name} already exists: it is a predefined network`,
    )
  }
  requireDnsName(request.Name)
  if (request.Driver !== OVERLAY_DRIVER && !NODE_LOCAL_DRIVERS.includes(request.Driver)) {
    throw invalid(
      `invalid driver ${request.Driver}: a swarm-scoped network is an overlay, or each node's own of driver ${NODE_LOCAL_DRIVERS.join(', ')}`,
    )
  }
  if (request.EnableIPv4 === false)
    throw invalid('IPv4 cannot be disabled in a Swarm scoped network')
  if (request.Ingress && request.Attachable) throw invalid('ingress network cannot be attachable')
  if (request.Driver !== OVERLAY_DRIVER) return requireNodeLocal(request)
  if (request.ConfigFrom?.Network) {
    throw unimplemented('an overlay takes its settings from no configuration-only network')
  }
  requireIpv6Mtu(request)
  return [...unusedOptions(request), ...requireIpam(request)]
}

const unusedOptions = ({ Options, IPAM }: NetworkCreate): string[] => {
  const unused = Object.keys(Options).filter((key) => ![ENCRYPTED_OPTION, MTU_OPTION].includes(key))
  return [
    ...unused.map((key) => `option ${key} is kept, but without effect`),
    ...Object.keys(IPAM?.Options ?? {}).map(
      (key) => `IPAM option ${key} is kept, but without effect`,
    ),
  ]
}

const refused = (message: string): SwarmctlError => new SwarmctlError('PERMISSION_DENIED', message)

const hasIpam = ({ IPAM }: NetworkCreate): boolean =>
  (IPAM?.Config ?? []).length > 0 || Object.keys(IPAM?.Options ?? {}).length > 0

const hasOptions = ({ Options }: NetworkCreate): boolean => Object.keys(Options).length > 0

/** One that each node makes by itself: the checks, and their words, are libnetwork's (`controller.go`, `network.go`). */
const requireNodeLocal = (request: NetworkCreate): string[] => {
  if (request.Ingress) throw refused('Ingress network can only be global scope network')
  if (request.ConfigFrom?.Network) {
    const isOwn = hasIpam(request) || request.EnableIPv6 || Object.keys(request.Labels).length > 0
    if (isOwn || (request.IPAM?.Driver ?? 'default') !== 'default') {
      throw refused(
        'user-specified configurations are not supported if the network depends on a configuration network',
      )
    }
    if (hasOptions(request)) {
      throw refused(
        'network driver options are not supported if the network depends on a configuration network',
      )
    }
    return []
  }
  // Swarm drops them without a word (`cnmallocator/networkallocator.go`, `Allocate`): one subnet can't be every node's.
  if (!hasIpam(request) && !hasOptions(request)) return []
  return [
    'subnets and driver options are not used, as with Swarm: every node takes them from a network of its own that --config-from names',
  ]
}

/** Smallest MTU of IPv6, bytes (RFC 8200 §5). */
const IPV6_MTU_MIN = 1280

const requireIpv6Mtu = ({ EnableIPv6, Options }: NetworkCreate): void => {
  const mtu = Number(Options[MTU_OPTION] ?? IPV6_MTU_MIN)
  if (EnableIPv6 && mtu > 0 && mtu < IPV6_MTU_MIN)
    throw invalid(`invalid ${MTU_OPTION} ${mtu}: IPv6 needs ${IPV6_MTU_MIN}`)
}
