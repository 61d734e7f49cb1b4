import { invalid, SwarmctlError } from '../errors.ts'
import {
  containsAddress,
  formatCidr,
  type Ipv4Block,
  lastAddress,
  parseCidr,
  parseIpv4,
} from '../ipv4.ts'
import { NetworkCreate } from '../network.ts'
import { parseBody } from './body.ts'
import { requireDnsName } from './names.ts'

/** Names that every Engine has for its own networks. */
export const PREDEFINED_NETWORKS = ['host', 'bridge', 'none'] as const

/** Marks the cluster's objects for them. */
export const PREDEFINED_LABEL = 'com.docker.swarm.predefined'

/** Ours, in `DriverConfiguration.Name`. */
export const OVERLAY_DRIVER = 'overlay'

/**
 * The smallest subnet that is of use: a gateway per node, an address per task, a VIP per service. Docker's own minimum is the same.
 */
const PREFIX_MAX = 29
const PREFIX_MIN = 8

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
  if (request.Ingress && request.Attachable) throw invalid('ingress network cannot be attachable')
  if (request.ConfigFrom?.Network) {
    throw unimplemented('an overlay takes its settings from no configuration-only network')
  }
  if (request.EnableIPv6) {
    throw unimplemented('IPv6 is not supported on overlay networks: create it without --ipv6')
  }
  if ('encrypted' in request.Options && request.Options.encrypted !== 'false') {
    throw unimplemented(
      'encrypted overlay networks are not supported: refused rather than sent in plain',
    )
  }
  return { request, warning: requireIpam(request) }
}

const requireIpam = (request: NetworkCreate): string => {
  const { IPAM: ipam } = request
  if (ipam?.Driver && ipam.Driver !== 'default') {
    throw invalid(`invalid IPAM driver ${ipam.Driver}: only the default one is supported`)
  }
  const [config, ...more] = ipam?.Config ?? []
  if (more.length > 0) throw invalid('an overlay network has one IPv4 subnet')
  if (config === undefined) return ''
  if (config.Subnet === undefined) throw invalid('ipam configuration: subnet must be provided')
  const subnet = requireSubnet(config.Subnet)
  if (config.IPRange) requireRange(subnet, config.IPRange)
  const warnings: string[] = []
  // Swarm drops them without a word.
  if (Object.keys(config.AuxiliaryAddresses ?? {}).length > 0) {
    warnings.push(
      `network ${request.Name}: auxiliary addresses are not kept free, as with Swarm; choose an IP range without them`,
    )
  }
  if (config.Gateway) {
    const gateway = parseIpv4(config.Gateway)
    if (gateway === undefined) {
      throw invalid(`ipam configuration: invalid gateway ${config.Gateway}`)
    }
    if (!containsAddress(subnet, gateway)) {
      throw invalid(
        `ipam configuration: subnet ${config.Subnet} does not contain gateway ${config.Gateway}`,
      )
    }
    warnings.push(
      `network ${request.Name}: each node has its own gateway, ${config.Gateway} is unused`,
    )
  }
  return warnings.join('; ')
}

/** Every node with tasks, every task and every service takes one address of it. */
const requireRange = (subnet: Ipv4Block, text: string): void => {
  const range = parseCidr(text)
  if (range === undefined) throw invalid(`ipam configuration: invalid IP range ${text}`)
  if (!containsAddress(subnet, range.first) || !containsAddress(subnet, lastAddress(range))) {
    throw invalid(
      `ipam configuration: subnet ${formatCidr(subnet)} does not contain IP range ${formatCidr(range)}`,
    )
  }
  if (range.prefix > PREFIX_MAX) {
    throw invalid(
      `ipam configuration: IP range ${formatCidr(range)} must be at least a /${PREFIX_MAX}`,
    )
  }
}

const requireSubnet = (text: string) => {
  const subnet = parseCidr(text)
  if (subnet === undefined) throw invalid(`ipam configuration: invalid subnet ${text}`)
  if (subnet.prefix > PREFIX_MAX || subnet.prefix < PREFIX_MIN) {
    throw invalid(
      `ipam configuration: subnet ${formatCidr(subnet)} must be from /${PREFIX_MIN} to /${PREFIX_MAX}`,
    )
  }
  return subnet
}
