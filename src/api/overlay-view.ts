import type { DataPlaneKind } from './node.ts'
import type { PortConfig } from './service-spec.ts'

/** A node as the overlay sees it. */
export interface OverlayNode {
  id: string
  /** 1–254, number of its block, fwmark and routing table. */
  index: number
  /** IPv4 that VXLAN packets go to. */
  dataPathAddr: string
  dataPlane: DataPlaneKind
  /** Absent: its tasks have no IPv6 addresses, whatever their networks have. */
  ipv6?: true
  /** host:port of the cluster port: the proxy's tunnel goes there. */
  addr: string
  /** False when its agent is gone: its endpoints are out of rotation and connections to them are reset. */
  live: boolean
}

export interface OverlayNetwork {
  id: string
  name: string
  /** 1–4094, names the bridge. */
  index: number
  /** CIDR. */
  subnet: string
  /** CIDR; every address of the subnet has its twin in it (api/ipv6-mirror.ts). Absent: IPv4 only. */
  subnet6?: string
  plan: 'blocks' | 'flat'
  /** In a flat subnet each node's own gateway address, by node id. In `blocks` node N's gateway is the block's .1 */
  gateways: Record<string, string>
  internal: boolean
  ingress: boolean
  /** What travels between nodes goes through the relay, encrypted. */
  encrypted: boolean
  /** MTU from `com.docker.network.driver.mtu`, 0 = derive from the underlay. */
  mtu: number
}

export interface OverlayService {
  id: string
  name: string
  mode: 'vip' | 'dnsrr'
  /** Without mask. */
  vips: { networkId: string; addr: string }[]
  /** Names on each network besides the service's own. */
  aliases: { networkId: string; names: string[] }[]
  /** Ingress-mode ports with allocated numbers. */
  ports: PortConfig[]
}

/** How `targets` of an endpoint names a port. */
export const publishedKey = ({
  Protocol,
  PublishedPort,
}: Pick<PortConfig, 'Protocol' | 'PublishedPort'>): string => `${Protocol}/${PublishedPort}`

/** `starting` has addresses but gets nothing yet; `ready` is in rotation; `draining` gets no new connections. */
export type EndpointState = 'starting' | 'ready' | 'draining'

export interface OverlayEndpoint {
  taskId: string
  serviceId: string
  nodeId: string
  state: EndpointState
  /** Hostname the container got, resolvable on its networks; may be empty. */
  hostname: string
  /** The task's, for its name; absent in a global service. */
  slot?: number
  /** Its running container's, which is also its hostname unless it got another one. */
  shortId?: string
  /**
   * The ports that its task was made to serve, `tcp/8080` (published) → its own port: the service's may be others by now. Absent: none,
   * or a manager that does not tell.
   */
  targets?: Record<string, number>
  /** Of a container that is no task's: it has an endpoint for each of its networks, and sees the names of all of them. */
  containerId?: string
  /** Addresses without mask. */
  addresses: { networkId: string; addr: string; aliases: string[] }[]
}

/** All that a node's forwarding table is computed from. Keys are ids. */
export interface OverlayView {
  nodes: Map<string, OverlayNode>
  networks: Map<string, OverlayNetwork>
  services: Map<string, OverlayService>
  endpoints: Map<string, OverlayEndpoint>
}

/** A difference between two views; with `complete` in its message it replaces everything. */
export interface OverlayChange {
  nodes: { put: OverlayNode[]; remove: string[] }
  networks: { put: OverlayNetwork[]; remove: string[] }
  services: { put: OverlayService[]; remove: string[] }
  endpoints: { put: OverlayEndpoint[]; remove: string[] }
}
