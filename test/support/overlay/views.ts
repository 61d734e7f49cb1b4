/** Small views for table tests. */
import type {
  OverlayEndpoint,
  OverlayNetwork,
  OverlayNode,
  OverlayService,
  OverlayView,
} from '../../../src/api/overlay-view.ts'

export const node = (index: number, options: Partial<OverlayNode> = {}): OverlayNode => ({
  id: `n${index}`,
  index,
  dataPathAddr: `192.168.0.${index}`,
  dataPlane: 'kernel',
  addr: `192.168.0.${index}:2377`,
  live: true,
  ...options,
})

export const network = (
  id: string,
  index: number,
  subnet: string,
  options: Partial<OverlayNetwork> = {},
): OverlayNetwork => ({
  id,
  name: id,
  index,
  subnet,
  plan: 'blocks',
  gateways: {},
  internal: false,
  ingress: false,
  encrypted: false,
  mtu: 0,
  ...options,
})

export const service = (id: string, options: Partial<OverlayService> = {}): OverlayService => ({
  id,
  name: id,
  mode: 'vip',
  vips: [],
  aliases: [],
  ports: [],
  ...options,
})

/** `addresses` is `network address` pairs. */
export const endpoint = (
  taskId: string,
  serviceId: string,
  nodeId: string,
  addresses: Record<string, string>,
  options: Partial<OverlayEndpoint> = {},
): OverlayEndpoint => ({
  taskId,
  serviceId,
  nodeId,
  state: 'ready',
  hostname: taskId,
  addresses: Object.entries(addresses).map(([networkId, addr]) => ({
    networkId,
    addr,
    aliases: [],
  })),
  ...options,
})

export const view = (parts: {
  nodes?: OverlayNode[]
  networks?: OverlayNetwork[]
  services?: OverlayService[]
  endpoints?: OverlayEndpoint[]
}): OverlayView => ({
  nodes: new Map((parts.nodes ?? [node(1), node(2), node(3)]).map((one) => [one.id, one])),
  networks: new Map((parts.networks ?? []).map((one) => [one.id, one])),
  services: new Map((parts.services ?? []).map((one) => [one.id, one])),
  endpoints: new Map((parts.endpoints ?? []).map((one) => [one.taskId, one])),
})
