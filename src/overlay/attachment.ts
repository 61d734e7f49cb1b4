import { formatIpv4, parseCidr } from '../api/ipv4.ts'
import type { OverlayView } from '../api/overlay-view.ts'
import type { Task } from '../api/task.ts'
import { SEARCH_DOMAIN } from './dns/names.ts'
import { dockerNetworkName } from './names.ts'

/** What a task's container needs to be created with. */
export interface Attachment {
  /** In the order of the task's attachments; only overlay networks. */
  networks: {
    dockerNetwork: string
    /** Without mask. */
    ipv4Address: string
    /** None: our DNS answers service names; a Docker alias would win over it on the same host. */
    aliases: string[]
  }[]
  /** The bridges' gateways, then what the service asks for. */
  dns: string[]
  dnsSearch: string[]
  dnsOptions: string[]
  /** Indexes of the networks, which must have their bridge. */
  networkIndexes: number[]
  /** The service's own nameservers: what our DNS asks for this task. */
  nameservers: string[]
}

/** Resolvers in containers take three servers (resolv.conf's MAXNS). */
const NAMESERVERS_MAX = 3

/** Options by which a resolver would not ask single-label names as they are: a search domain of ours makes them full ones. */
const asksForDots = (options: readonly string[]): boolean =>
  options.some((option) => /^ndots:[1-9]/.test(option))

/** Gateway of a network on another node that has tasks on it: answers names while this node's daemon is away. */
const otherGateway = (view: OverlayView, networkId: string, selfId: string): string | undefined => {
  const network = view.networks.get(networkId)
  if (network === undefined) return undefined
  for (const endpoint of view.endpoints.values()) {
    const node = view.nodes.get(endpoint.nodeId)
    if (node === undefined || !node.live || node.id === selfId) continue
    if (!endpoint.addresses.some((one) => one.networkId === networkId)) continue
    return gatewayOf(view, networkId, node.id)
  }
  return undefined
}

const gatewayOf = (view: OverlayView, networkId: string, nodeId: string): string | undefined => {
  const network = view.networks.get(networkId)
  const node = view.nodes.get(nodeId)
  if (network === undefined || node === undefined) return undefined
  if (network.plan === 'flat') return network.gateways[nodeId]
  const subnet = parseCidr(network.subnet)
  return subnet === undefined ? undefined : formatIpv4(subnet.first + node.index * 256 + 1)
}

/** What a task's container is to be created with on this node. Pure. */
export const attachmentOf = (task: Task, view: OverlayView, selfId: string): Attachment => {
  const overlays = (task.NetworksAttachments ?? []).filter(
    (one) => one.Network.Spec.DriverConfiguration.Name === 'overlay' && one.Addresses.length > 0,
  )
  const ids = overlays.map((one) => one.Network.ID)
  const own = ids.flatMap((id) => gatewayOf(view, id, selfId) ?? [])
  const other = ids.flatMap((id) => otherGateway(view, id, selfId) ?? [])
  const config = task.Spec.ContainerSpec?.DNSConfig
  const nameservers = config?.Nameservers ?? []
  const options = config?.Options ?? []
  const ours = [...own.slice(0, 1), ...other.slice(0, 1)]
  return {
    networks: overlays.map((one) => ({
      dockerNetwork: dockerNetworkName(one.Network.Swarmctl.Index),
      ipv4Address: (one.Addresses[0] ?? '').replace(/\/\d+$/, ''),
      aliases: [],
    })),
    dns: overlays.length === 0 ? nameservers : [...ours, ...nameservers].slice(0, NAMESERVERS_MAX),
    dnsSearch: [
      ...(overlays.length > 0 && asksForDots(options) ? [SEARCH_DOMAIN] : []),
      ...(config?.Search ?? []),
    ],
    dnsOptions: options,
    networkIndexes: overlays.map((one) => one.Network.Swarmctl.Index),
    nameservers,
  }
}
