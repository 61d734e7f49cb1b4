import type { Network } from '../../api/network.ts'
import { isAttachment } from '../../api/network-attachment.ts'
import { taskName } from '../../api/task-name.ts'
import { isWanted } from '../../api/task-state.ts'
import { withoutMask } from '../dispatcher/overlay-view.ts'
import type { View } from '../store/view.ts'

/** Digits of a node's id that name a peer, as Swarm's do. */
const PEER_NAME_LENGTH = 12

/** Who uses a network, in the shape of `GET /networks/{id}` (`Peers`) and of its `?verbose=true` (`Services`). */
export interface NetworkUse {
  Peers: { Name: string; IP: string }[]
  Services: Record<string, NetworkService>
}

interface NetworkService {
  VIP: string
  Ports: string[]
  LocalLBIndex: number
  Tasks: { Name: string; EndpointID: string; EndpointIP: string; Info: { 'Host IP': string } }[]
}

/** The nodes with running tasks on the network, and its services with their tasks. */
export const networkUse = (view: View, network: Network): NetworkUse => {
  const peers = new Map<string, string>()
  const services = new Map<string, NetworkService>()
  for (const task of view.list('task')) {
    const attachment = (task.NetworksAttachments ?? []).find((one) => one.Network.ID === network.ID)
    const isHere = isWanted(task.DesiredState) && task.Status.State === 'running'
    if (attachment === undefined || !isHere) continue
    const node = view.get('node', task.NodeID)
    const hostIp = node?.Description.Swarmctl.DataPathAddr ?? ''
    peers.set(task.NodeID, hostIp)
    if (isAttachment(task)) continue
    const name = task.Swarmctl.ServiceName
    const service = services.get(name) ?? emptyService(view, network, task.ServiceID)
    services.set(name, service)
    service.Tasks.push({
      Name: `${taskName(task)}.${task.ID}`,
      EndpointID: task.ID,
      EndpointIP: withoutMask(attachment.Addresses[0] ?? ''),
      Info: { 'Host IP': hostIp },
    })
  }
  const Peers = [...peers].map(([id, IP]) => ({ Name: id.slice(0, PEER_NAME_LENGTH), IP }))
  return { Peers, Services: Object.fromEntries(services) }
}

const emptyService = (view: View, network: Network, serviceId: string): NetworkService => {
  const endpoint = view.get('service', serviceId)?.Endpoint
  const vip = endpoint?.VirtualIPs?.find(({ NetworkID }) => NetworkID === network.ID)
  const Ports = (endpoint?.Ports ?? []).map(
    (port) => `Target: ${port.TargetPort}, Publish: ${port.PublishedPort ?? 0}`,
  )
  return { VIP: withoutMask(vip?.Addr ?? ''), Ports, LocalLBIndex: 0, Tasks: [] }
}
