import { isEncrypted, type Network } from '../../api/network.ts'
import { attachedContainer, isAttachment } from '../../api/network-attachment.ts'
import type { Node } from '../../api/node.ts'
import {
  type EndpointState,
  type OverlayEndpoint,
  type OverlayNetwork,
  type OverlayNode,
  type OverlayService,
  type OverlayView,
  publishedKey,
} from '../../api/overlay-view.ts'
import type { Service } from '../../api/service.ts'
import { shortIdOf } from '../../api/short-id.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { taskHostname } from '../../api/task-template.ts'
import { MTU_OPTION } from '../../api/validate/network.ts'
import type { View } from '../store/view.ts'

/**
 * What the nodes' forwarding tables are computed from, object by object. Everything here is a pure function of the applied state;
 * `undefined` means that the object has no place in the tables (yet, or any more).
 */

/** The address of `10.0.3.7/16`. */
export const withoutMask = (cidr: string): string => cidr.split('/', 1)[0] ?? ''

/** A node that has registered at least once; one that is down stays, as not live. */
export const overlayNode = (node: Node): OverlayNode | undefined =>
  node.Description.Swarmctl.DataPathAddr === ''
    ? undefined
    : {
        id: node.ID,
        index: node.Swarmctl.Index,
        dataPathAddr: node.Description.Swarmctl.DataPathAddr,
        dataPlane: node.Description.Swarmctl.DataPlane,
        ...(node.Description.Swarmctl.IPv6 && { ipv6: true as const }),
        addr: node.Swarmctl.Addr,
        live: node.Status.State !== 'down',
      }

/** An overlay with a subnet; the predefined node-local networks have none. */
export const overlayNetwork = (network: Network): OverlayNetwork | undefined => {
  const [config, config6] = network.IPAMOptions.Configs
  const subnet = config?.Subnet
  if (subnet === undefined || network.Spec.DriverConfiguration.Name !== 'overlay') return undefined
  const mtu = Number(network.Spec.DriverConfiguration.Options[MTU_OPTION] ?? 0)
  return {
    id: network.ID,
    name: network.Spec.Name,
    index: network.Swarmctl.Index,
    subnet,
    ...(config6 && { subnet6: config6.Subnet }),
    plan: network.Swarmctl.Plan,
    gateways: network.Swarmctl.Gateways,
    internal: network.Spec.Internal,
    ingress: network.Spec.Ingress,
    encrypted: isEncrypted(network),
    mtu: Number.isInteger(mtu) && mtu > 0 ? mtu : 0,
  }
}

/** A service's VIPs, names and published ports; one that is on no network and publishes nothing has none of them. */
export const overlayService = (service: Service): OverlayService | undefined => {
  const networks = [...(service.Spec.TaskTemplate.Networks ?? []), ...(service.Spec.Networks ?? [])]
  const ports = (service.Endpoint.Ports ?? []).filter(
    ({ PublishMode }) => PublishMode === 'ingress',
  )
  const vips = service.Endpoint.VirtualIPs ?? []
  if (networks.length === 0 && ports.length === 0 && vips.length === 0) return undefined
  return {
    id: service.ID,
    name: service.Spec.Name,
    mode: service.Endpoint.Spec.Mode ?? 'vip',
    vips: vips.map(({ NetworkID, Addr }) => ({ networkId: NetworkID, addr: withoutMask(Addr) })),
    aliases: networks
      .map(({ Target, Aliases = [], Swarmctl }) => ({
        networkId: Target,
        names: [...Aliases, ...(Swarmctl?.Aliases ?? [])],
      }))
      .filter(({ names }) => names.length > 0),
    ports,
  }
}

/** Design §8: in rotation only while running and wanted; a task that is to go drains until it has ended. */
export const endpointState = (task: Task): EndpointState => {
  if (!isWanted(task.DesiredState)) return 'draining'
  return task.Status.State === 'running' ? 'ready' : 'starting'
}

/** The place of a task that has addresses and a node that is not down; a task that ended has none. */
export const overlayEndpoint = (
  task: Task,
  node: Node | undefined,
): OverlayEndpoint | undefined => {
  if (node === undefined || node.Status.State === 'down' || isTerminal(task.Status.State))
    return undefined
  const addresses = (task.NetworksAttachments ?? []).flatMap(({ Network, Addresses, Aliases }) =>
    Addresses[0] === undefined
      ? []
      : [{ networkId: Network.ID, addr: withoutMask(Addresses[0]), aliases: Aliases ?? [] }],
  )
  if (addresses.length === 0) return undefined
  return {
    taskId: task.ID,
    serviceId: task.ServiceID,
    nodeId: task.NodeID,
    state: endpointState(task),
    hostname: isAttachment(task) ? attachedHostname(task) : taskHostname(task, node.Description),
    ...(isAttachment(task) ? { containerId: attachedContainer(task) } : taskNames(task)),
    ...targetsOf(task),
    addresses,
  }
}

/** During an update that changes a published port's target, its tasks serve different ones. */
const targetsOf = ({ Swarmctl }: Task): Pick<OverlayEndpoint, 'targets'> => {
  const ports = (Swarmctl.Endpoint?.Ports ?? []).filter(
    (port) => port.PublishMode === 'ingress' && (port.PublishedPort ?? 0) > 0,
  )
  if (ports.length === 0) return {}
  return {
    targets: Object.fromEntries(ports.map((port) => [publishedKey(port), port.TargetPort])),
  }
}

/** What the task's container is called besides. Its id only once it runs, as with Swarm: a state before costs the nodes no change of its own. */
const taskNames = ({ Slot, Status }: Task): Pick<OverlayEndpoint, 'slot' | 'shortId'> => {
  const id = Status.State === 'running' ? Status.ContainerStatus?.ContainerID : undefined
  return {
    ...(Slot !== undefined && { slot: Slot }),
    ...(id && { shortId: shortIdOf(id) }),
  }
}

/** A container by hand is found by its name, as on the Engine's own networks; one that does not run by none. */
const attachedHostname = ({ Status, Swarmctl }: Task): string =>
  Status.State === 'running' ? (Swarmctl.ContainerName ?? '') : ''

export const emptyOverlayView = (): OverlayView => ({
  nodes: new Map(),
  networks: new Map(),
  services: new Map(),
  endpoints: new Map(),
})

/** The whole view of an applied state. */
export const overlayView = (view: View): OverlayView => {
  const result = emptyOverlayView()
  for (const object of view.list('node')) {
    const node = overlayNode(object)
    if (node !== undefined) result.nodes.set(node.id, node)
  }
  for (const object of view.list('network')) {
    const network = overlayNetwork(object)
    if (network !== undefined) result.networks.set(network.id, network)
  }
  for (const object of view.list('service')) {
    const service = overlayService(object)
    if (service !== undefined) result.services.set(service.id, service)
  }
  for (const object of view.list('task')) {
    const endpoint = overlayEndpoint(object, view.get('node', object.NodeID))
    if (endpoint !== undefined) result.endpoints.set(endpoint.taskId, endpoint)
  }
  return result
}
