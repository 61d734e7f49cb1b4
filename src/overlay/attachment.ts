import { isEncrypted, type Network } from '../api/network.ts'
import type { OverlayNetwork, OverlayView } from '../api/overlay-view.ts'
import type { Task } from '../api/task.ts'
import { SEARCH_DOMAIN } from './dns/names.ts'
import { bridgeNetwork } from './forwarding-table.ts'
import { dockerNetworkName } from './names.ts'
import { dualSubnets, twinAddress } from './twins.ts'

/** What a task's container needs to be created with. */
export interface Attachment {
  /** In the order of the task's attachments; only overlay networks. */
  networks: {
    dockerNetwork: string
    /** Without mask. */
    ipv4Address: string
    /** In a network with IPv6. */
    ipv6Address?: string
    /** None: our DNS answers service names; a Docker alias would win over it on the same host. */
    aliases: string[]
  }[]
  /** The bridges' gateways, then what the service asks for. */
  dns: string[]
  dnsSearch: string[]
  dnsOptions: string[]
  /** The networks, which must have their bridge. */
  overlayNetworks: OverlayNetwork[]
  /** The service's own nameservers: what our DNS asks for this task. */
  nameservers: string[]
}

/** Resolvers in containers take three servers (resolv.conf's MAXNS). */
const NAMESERVERS_MAX = 3

/** Options by which a resolver would not ask single-label names as they are: a search domain of ours makes them full ones. */
const asksForDots = (options: readonly string[]): boolean =>
  options.some((option) => /^ndots:[1-9]/.test(option))

const withoutMask = (address: string): string => address.replace(/\/\d+$/, '')

/** A network as the managers gave it along with a task: known before any view arrives. */
const overlayNetwork = (network: Network): OverlayNetwork => {
  const { ID, Spec, IPAMOptions, Swarmctl } = network
  return {
    id: ID,
    name: Spec.Name,
    index: Swarmctl.Index,
    subnet: IPAMOptions?.Configs[0]?.Subnet ?? '',
    ...(IPAMOptions?.Configs[1] && { subnet6: IPAMOptions.Configs[1].Subnet }),
    plan: Swarmctl.Plan,
    gateways: Swarmctl.Gateways ?? {},
    internal: Spec.Internal,
    ingress: Spec.Ingress,
    encrypted: isEncrypted(network),
    mtu: Number(Spec.DriverConfiguration.Options['com.docker.network.driver.mtu'] ?? 0),
  }
}

const ipv6Of = (network: OverlayNetwork, addr: string): { ipv6Address?: string } => {
  const subnets = dualSubnets(network)
  const ipv6Address = subnets && twinAddress(subnets, addr)
  return ipv6Address === undefined ? {} : { ipv6Address }
}

/** Where a task is reached on its overlays, in both families. Pure. */
export const addressesOf = (task: Task): string[] =>
  (task.NetworksAttachments ?? []).flatMap(({ Network, Addresses }) => {
    const addrs = Addresses.map(withoutMask)
    if (addrs.length === 0) return []
    const network = overlayNetwork(Network)
    return [...addrs, ...addrs.flatMap((addr) => ipv6Of(network, addr).ipv6Address ?? [])]
  })

export interface NodeNumber {
  nodeId: string
  index: number
}

const gatewayOn = (network: OverlayNetwork, node: NodeNumber): string | null =>
  bridgeNetwork(network, node)?.gateway ?? null

/** A node that has tasks on the network: its gateway answers names while this node's daemon is away. */
const otherNode = (view: OverlayView, networkId: string, selfId: string): NodeNumber | null => {
  for (const endpoint of view.endpoints.values()) {
    const node = view.nodes.get(endpoint.nodeId)
    if (node === undefined || !node.live || node.id === selfId) continue
    if (!endpoint.addresses.some((one) => one.networkId === networkId)) continue
    return { nodeId: node.id, index: node.index }
  }
  return null
}

/** What a task's container is to be created with on this node, whose own search domains are `hostSearch`. Pure. */
export const attachmentOf = (
  task: Task,
  view: OverlayView,
  self: NodeNumber,
  hostSearch: readonly string[],
): Attachment => {
  const overlays = (task.NetworksAttachments ?? [])
    .filter(({ Network, Addresses }) => {
      return Network.Spec.DriverConfiguration.Name === 'overlay' && Addresses.length > 0
    })
    .map(({ Network, Addresses }) => ({
      // The view's is newer: a flat subnet may have got this node's gateway since.
      network: view.networks.get(Network.ID) ?? overlayNetwork(Network),
      addr: withoutMask(Addresses[0] ?? ''),
    }))
  const own = overlays.flatMap(({ network }) => gatewayOn(network, self) ?? [])
  const other = overlays.flatMap(({ network }) => {
    const node = otherNode(view, network.id, self.nodeId)
    return node === null ? [] : (gatewayOn(network, node) ?? [])
  })
  const config = task.Spec.ContainerSpec?.DNSConfig
  const nameservers = config?.Nameservers ?? []
  const options = config?.Options ?? []
  // The Engine gives containers the host's domains only if they name none.
  const search = config?.Search ?? []
  const ours = [...own.slice(0, 1), ...other.slice(0, 1)]
  return {
    networks: overlays.map(({ network, addr }) => ({
      dockerNetwork: dockerNetworkName(network.index),
      ipv4Address: addr,
      ...ipv6Of(network, addr),
      aliases: [],
    })),
    dns: [...ours, ...nameservers].slice(0, NAMESERVERS_MAX),
    dnsSearch:
      overlays.length > 0 && asksForDots(options)
        ? [SEARCH_DOMAIN, ...(search.length > 0 ? search : hostSearch)]
        : search,
    dnsOptions: options,
    overlayNetworks: overlays.map(({ network }) => network),
    nameservers,
  }
}
