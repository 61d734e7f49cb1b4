import {
  containsAddress,
  formatCidr,
  formatIpv4,
  type Ipv4Block,
  overlaps,
  parseCidr,
  parseIpv4,
  requireCidr,
} from '../api/ipv4.ts'
import { formatIpv6Cidr, type Ipv6Block, overlapsIpv6 } from '../api/ipv6.ts'
import type { DataPlaneKind } from '../api/node.ts'
import {
  type OverlayEndpoint,
  type OverlayNetwork,
  type OverlayNode,
  type OverlayView,
  publishedKey,
} from '../api/overlay-view.ts'
import type { PortConfig } from '../api/service-spec.ts'
import { type EncryptedSubnets, encryptedSubnets } from './encrypted-subnets.ts'
import {
  bridgeName,
  ENCRYPTED_DEVICE,
  encryptedVtepAddress,
  encryptedVtepMac,
  NODE_INDEX_MAX,
  VXLAN_DEVICE,
  vtepAddress,
  vtepMac,
} from './names.ts'
import { type DualSubnets, dualSubnets, twinAddress, twinCidr } from './twins.ts'

/** Another node, as routes and the VXLAN device need it. */
export interface Peer {
  nodeId: string
  index: number
  /** Where VXLAN packets go. */
  dataPathAddr: string
  vtepAddr: string
  mac: string
  /** The same two on the device of encrypted networks. */
  encrypted: { vtepAddr: string; mac: string }
  dataPlane: DataPlaneKind
}

/** A network as this node serves it. */
export interface TableNetwork {
  id: string
  name: string
  index: number
  bridge: string
  subnet: string
  plan: 'blocks' | 'flat'
  internal: boolean
  ingress: boolean
  encrypted: boolean
  /** Its way to other nodes. */
  device: string
  /** 0: as the VXLAN device's. */
  mtu: number
  /** This node's gateway on it; null when the address plan has none for it (yet). */
  gateway: string | null
  /** CIDR of the addresses that this node's containers have: its block, or the whole flat subnet. */
  local: string
  /** CIDR of the VIPs in a `blocks` plan. */
  vipBlock: string | null
  /** Peers' blocks: CIDR by node id; empty in a flat plan. */
  blocks: { nodeId: string; cidr: string }[]
  /** The same in IPv6, all of them twins; null in a network without. */
  ipv6: Pick<TableNetwork, 'subnet' | 'gateway' | 'local' | 'vipBlock' | 'blocks'> | null
}

/** A service's address on one network and what it stands for. */
export interface Vip {
  addr: string
  networkId: string
  serviceId: string
  /** Addresses of ready endpoints, sorted. */
  endpoints: string[]
}

/** Where a published port's connection may go. */
export interface PublishedEndpoint {
  taskId: string
  nodeId: string
  networkId: string
  addr: string
  port: number
}

export type PortProtocol = 'tcp' | 'udp' | 'sctp'

export interface PublishedPort {
  protocol: PortProtocol
  port: number
  /** The only address of a node that it is served at, by the proxy; absent: all. */
  hostIp?: string
  /** Each connection to an endpoint begins with a PROXY header, which packets can't have: the proxy serves it. */
  sendsProxyHeader?: true
  serviceId: string
  /** Ready, sorted by address. */
  endpoints: PublishedEndpoint[]
}

/** Of all nodes: who may hand another one packets for its VXLAN device. */
export const dataPathAddresses = ({ self, peers }: ForwardingTable): string[] =>
  [self, ...peers].map(({ dataPathAddr }) => dataPathAddr)

/** Whether this node needs the device of encrypted networks. */
export const hasEncrypted = ({ networks }: Pick<ForwardingTable, 'networks'>): boolean =>
  networks.some((network) => network.encrypted)

/** Addresses of tasks, asked for by users, that lie in the block of the virtual ones. */
export const addressesAmongVips = ({
  hostRoutes,
  networks,
}: Pick<ForwardingTable, 'hostRoutes' | 'networks'>): string[] => {
  const blocks = new Map(networks.map(({ id, vipBlock }) => [id, parseCidr(vipBlock ?? '')]))
  return hostRoutes
    .filter(({ addr, networkId }) => {
      const [block, address] = [blocks.get(networkId), parseIpv4(addr)]
      return block !== undefined && address !== undefined && containsAddress(block, address)
    })
    .map(({ addr }) => addr)
}

/** An address that its node's block does not cover: a /32 route. */
export interface HostRoute {
  addr: string
  networkId: string
  /** The node that has it; this node's own id for a local one. */
  nodeId: string
}

/** All that a node's kernel, proxy and DNS are programmed from. */
export interface ForwardingTable {
  self: Peer
  /** Every other node, also those that are not live: what still answers may be reached. */
  peers: Peer[]
  /** IPv4 addresses by which nodes are called: VXLAN, published ports. */
  nodeAddresses: string[]
  networks: TableNetwork[]
  /** What the host lets go no other way than the encrypted one. */
  encryptedSubnets: EncryptedSubnets
  vips: Vip[]
  published: PublishedPort[]
  hostRoutes: HostRoute[]
  /** Addresses of this node's tasks: a connection of theirs to themselves takes the gateway's address. */
  localAddresses: string[]
  /** Addresses whose node is gone: connections to them are reset. */
  deadAddresses: string[]
  /** Addresses of every task in the view, by node: proxy-plane nodes need translated sources. */
  addressesByNode: Map<string, string[]>
  /** Addresses of tasks on nodes that have no IPv6: their twins lead nowhere. */
  ipv4Only: ReadonlySet<string>
  /** One line each: what could not be taken into the table and why. */
  problems: string[]
}

/** Bits of a node's block in a `blocks` plan: a /24 (design §8). */
const BLOCK_PREFIX = 24

const blockOf = (subnet: Ipv4Block, index: number): Ipv4Block => ({
  first: subnet.first + index * 256,
  prefix: BLOCK_PREFIX,
})

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Sorted by address, so that every node numbers the same endpoints alike. */
const compareAddress = (a: string, b: string): number => (parseIpv4(a) ?? 0) - (parseIpv4(b) ?? 0)

const peerOf = (node: OverlayNode): Peer | null =>
  parseIpv4(node.dataPathAddr) === undefined || node.index < 1 || node.index > NODE_INDEX_MAX
    ? null
    : {
        nodeId: node.id,
        index: node.index,
        dataPathAddr: node.dataPathAddr,
        vtepAddr: vtepAddress(node.index),
        mac: vtepMac(node.dataPathAddr),
        encrypted: {
          vtepAddr: encryptedVtepAddress(node.index),
          mac: encryptedVtepMac(node.dataPathAddr),
        },
        dataPlane: node.dataPlane,
      }

/** What IPv6 adds to a network. */
const ipv6Of = (
  network: Omit<TableNetwork, 'ipv6'>,
  subnets: DualSubnets,
): NonNullable<TableNetwork['ipv6']> => {
  const twin = (cidr: string): string => twinCidr(subnets, requireCidr(cidr))
  return {
    subnet: formatIpv6Cidr(subnets.subnet6),
    gateway: network.gateway && (twinAddress(subnets, network.gateway) ?? null),
    local: twin(network.local),
    vipBlock: network.vipBlock && twin(network.vipBlock),
    blocks: network.blocks.map(({ nodeId, cidr }) => ({ nodeId, cidr: twin(cidr) })),
  }
}

/** A network as a node serves it. Pure. */
const networkOf = (
  network: OverlayNetwork,
  subnet: Ipv4Block,
  self: { nodeId: string; index: number },
  peers: Peer[],
): TableNetwork => {
  const blocks = network.plan === 'blocks'
  const block = blockOf(subnet, self.index)
  const ipv4 = {
    id: network.id,
    name: network.name,
    index: network.index,
    bridge: bridgeName(network.index),
    subnet: formatCidr(subnet),
    plan: network.plan,
    internal: network.internal,
    ingress: network.ingress,
    encrypted: network.encrypted,
    device: network.encrypted ? ENCRYPTED_DEVICE : VXLAN_DEVICE,
    mtu: network.mtu,
    gateway: blocks ? formatIpv4(block.first + 1) : (network.gateways[self.nodeId] ?? null),
    local: blocks ? formatCidr(block) : formatCidr(subnet),
    vipBlock: blocks ? formatCidr(blockOf(subnet, 0)) : null,
    blocks: blocks
      ? peers.map((peer) => ({
          nodeId: peer.nodeId,
          cidr: formatCidr(blockOf(subnet, peer.index)),
        }))
      : [],
  }
  const subnets = dualSubnets(network)
  return { ...ipv4, ipv6: subnets === undefined ? null : ipv6Of(ipv4, subnets) }
}

/** A network's bridge on a node, without its peers; null when its subnet is no IPv4 network. */
export const bridgeNetwork = (
  network: OverlayNetwork,
  self: { nodeId: string; index: number },
): TableNetwork | null => {
  const subnet = parseCidr(network.subnet)
  return subnet === undefined ? null : networkOf(network, subnet, self, [])
}

const networksOf = (view: OverlayView, self: Peer, peers: Peer[], problems: string[]) => {
  const taken: { name: string; subnet: Ipv4Block; subnet6: Ipv6Block | undefined }[] = []
  const networks: TableNetwork[] = []
  for (const network of [...view.networks.values()].sort((a, b) => a.index - b.index)) {
    const subnet = parseCidr(network.subnet)
    if (subnet === undefined) {
      problems.push(`network ${network.name}: "${network.subnet}" is not an IPv4 subnet`)
      continue
    }
    const other = taken.find((one) => overlaps(one.subnet, subnet))
    if (other !== undefined) {
      problems.push(`network ${network.name}: ${network.subnet} overlaps network ${other.name}`)
      continue
    }
    const subnet6 = dualSubnets(network)?.subnet6
    const other6 = subnet6 && taken.find((one) => one.subnet6 && overlapsIpv6(one.subnet6, subnet6))
    if (other6 !== undefined) {
      problems.push(`network ${network.name}: ${network.subnet6} overlaps network ${other6.name}`)
      continue
    }
    taken.push({ name: network.name, subnet, subnet6 })
    networks.push(networkOf(network, subnet, self, peers))
  }
  return networks
}

/** Endpoints that new connections may go to, by service. */
const readyByService = (view: OverlayView): Map<string, OverlayEndpoint[]> => {
  const ready = new Map<string, OverlayEndpoint[]>()
  for (const endpoint of view.endpoints.values()) {
    if (endpoint.state !== 'ready' || view.nodes.get(endpoint.nodeId)?.live !== true) continue
    const list = ready.get(endpoint.serviceId)
    if (list === undefined) ready.set(endpoint.serviceId, [endpoint])
    else list.push(endpoint)
  }
  return ready
}

/** The address that published ports use: the ingress network's, else the first one that reaches outside, else any. */
const publishedAddress = (endpoint: OverlayEndpoint, networks: Map<string, TableNetwork>) => {
  const known = endpoint.addresses.filter((one) => networks.has(one.networkId))
  return (
    known.find((one) => networks.get(one.networkId)?.ingress) ??
    known.find((one) => !networks.get(one.networkId)?.internal) ??
    known[0]
  )
}

/** Where a task takes a port's connections: where it was made to, whatever an update says since. Undefined when it does not know such a port. */
const targetOf = ({ targets }: OverlayEndpoint, port: PortConfig): number | undefined => {
  if (targets === undefined) return port.TargetPort
  const own = targets[publishedKey(port)]
  if (own !== undefined) return own
  // Only what clients call it changed.
  const isServed = Object.entries(targets).some(
    ([key, target]) => target === port.TargetPort && key.startsWith(`${port.Protocol}/`),
  )
  return isServed ? port.TargetPort : undefined
}

/** Tasks from before a port was added may not serve it: those that know it go first, and without any all are tried. */
const knowing = <E extends { port: number | undefined }>(endpoints: E[], target: number) => {
  const all = endpoints.map((one) => ({ ...one, port: one.port ?? target }))
  const able = all.filter((_, at) => endpoints[at]?.port !== undefined)
  return able.length > 0 ? able : all
}

const publishedOf = (
  view: OverlayView,
  ready: Map<string, OverlayEndpoint[]>,
  networks: Map<string, TableNetwork>,
  problems: string[],
): PublishedPort[] => {
  const ports = new Map<string, PublishedPort>()
  for (const service of [...view.services.values()].sort((a, b) => compareText(a.id, b.id))) {
    for (const port of service.ports) {
      if (port.PublishMode !== 'ingress' || !port.PublishedPort) continue
      const key = `${port.Protocol}/${port.PublishedPort}`
      if (ports.has(key)) {
        problems.push(`port ${key} of service ${service.name} is published by another service`)
        continue
      }
      const serving = (ready.get(service.id) ?? []).flatMap((endpoint) => {
        const address = publishedAddress(endpoint, networks)
        if (address === undefined) return []
        const { taskId, nodeId } = endpoint
        const { networkId, addr } = address
        return [{ taskId, nodeId, networkId, addr, port: targetOf(endpoint, port) }]
      })
      const endpoints = knowing(serving, port.TargetPort)
      endpoints.sort((a, b) => compareAddress(a.addr, b.addr))
      ports.set(key, {
        protocol: port.Protocol,
        port: port.PublishedPort,
        ...(port.Swarmctl?.HostIP && { hostIp: port.Swarmctl.HostIP }),
        ...(port.Swarmctl?.ProxyProtocol && { sendsProxyHeader: true as const }),
        serviceId: service.id,
        endpoints,
      })
    }
  }
  return [...ports.values()]
}

const vipsOf = (
  view: OverlayView,
  ready: Map<string, OverlayEndpoint[]>,
  networks: Map<string, TableNetwork>,
): Vip[] =>
  [...view.services.values()].flatMap((service) =>
    service.mode !== 'vip'
      ? []
      : service.vips
          .filter((vip) => networks.has(vip.networkId))
          .map(({ networkId, addr }) => ({
            addr,
            networkId,
            serviceId: service.id,
            endpoints: (ready.get(service.id) ?? [])
              .flatMap((endpoint) => endpoint.addresses)
              .filter((one) => one.networkId === networkId)
              .map((one) => one.addr)
              .sort(compareAddress),
          })),
  )

/** The /32 routes: addresses outside their node's block, and in flat subnets also the other nodes' gateways. */
const hostRoutesOf = (view: OverlayView, self: Peer, networks: Map<string, TableNetwork>) => {
  const routes: HostRoute[] = []
  for (const network of networks.values()) {
    if (network.plan !== 'flat') continue
    for (const [nodeId, addr] of Object.entries(view.networks.get(network.id)?.gateways ?? {})) {
      if (nodeId !== self.nodeId) routes.push({ addr, networkId: network.id, nodeId })
    }
  }
  for (const endpoint of view.endpoints.values()) {
    const node = view.nodes.get(endpoint.nodeId)
    if (node === undefined) continue
    for (const { networkId, addr } of endpoint.addresses) {
      const network = networks.get(networkId)
      const address = parseIpv4(addr)
      if (network === undefined || address === undefined) continue
      const local = endpoint.nodeId === self.nodeId
      // In a flat subnet the bridge's own route covers local addresses.
      if (network.plan === 'flat' && local) continue
      const subnet = parseCidr(network.subnet)
      if (subnet === undefined) continue
      if (network.plan === 'blocks' && containsAddress(blockOf(subnet, node.index), address))
        continue
      routes.push({ addr, networkId, nodeId: endpoint.nodeId })
    }
  }
  return routes
}

/** Whether the host needs rules for IPv6. */
export const needsIpv6 = (table: ForwardingTable): boolean =>
  table.encryptedSubnets.ipv6.length > 0 || table.networks.some(({ ipv6 }) => ipv6 !== null)

/**
 * What this node's tables hold for a view; null while the view does not have this node. `attached` are the networks of this node's
 * containers, which the view may lack. Pure.
 */
export const forwardingTable = (
  view: OverlayView,
  selfId: string,
  attached: readonly OverlayNetwork[] = [],
): ForwardingTable | null => {
  const selfNode = view.nodes.get(selfId)
  const self = selfNode === undefined ? null : peerOf(selfNode)
  if (self === null) return null
  const problems: string[] = []
  // A machine that was set up anew has the address, and so the MAC, of the node that it was: the live one has the last word on it.
  const nodes = [...view.nodes.values()].sort(
    (a, b) => Number(a.live) - Number(b.live) || a.index - b.index,
  )
  const peers: Peer[] = []
  for (const node of nodes) {
    if (node.id === selfId) continue
    const peer = peerOf(node)
    if (peer !== null) peers.push(peer)
    else problems.push(`node ${node.id}: data path address "${node.dataPathAddr}" is not IPv4`)
  }
  const networks = networksOf(view, self, peers, problems)
  const networksById = new Map(networks.map((network) => [network.id, network]))
  const ready = readyByService(view)
  const addressesByNode = new Map<string, string[]>()
  for (const endpoint of view.endpoints.values()) {
    const known = endpoint.addresses.filter((one) => networksById.has(one.networkId))
    const list = addressesByNode.get(endpoint.nodeId) ?? []
    list.push(...known.map((one) => one.addr))
    addressesByNode.set(endpoint.nodeId, list)
  }
  const ipv4Only = [...addressesByNode].filter(([nodeId]) => view.nodes.get(nodeId)?.ipv6 !== true)
  const dead = [...addressesByNode].filter(([nodeId]) => view.nodes.get(nodeId)?.live !== true)
  return {
    self,
    peers,
    nodeAddresses: [...new Set(nodes.flatMap(addressesOfNode))].sort(compareAddress),
    networks,
    encryptedSubnets: encryptedSubnets(networks, attached),
    vips: vipsOf(view, ready, networksById),
    published: publishedOf(view, ready, networksById, problems),
    hostRoutes: hostRoutesOf(view, self, networksById),
    localAddresses: addressesByNode.get(selfId) ?? [],
    deadAddresses: dead.filter(([nodeId]) => nodeId !== selfId).flatMap(([, list]) => list),
    addressesByNode,
    ipv4Only: new Set(ipv4Only.flatMap(([, list]) => list)),
    problems,
  }
}

/**
 * The data path address and the advertised one, as far as they are IPv4. A node that is alone may advertise loopback: what is sent
 * there stays with the listener, since a packet between loopback and a bridge is a martian.
 */
const addressesOfNode = (node: OverlayNode): string[] =>
  [node.dataPathAddr, node.addr.replace(/:\d+$/, '')].filter(
    (one) => parseIpv4(one) !== undefined && !one.startsWith('127.'),
  )
