import type { Service } from '../../api/service.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import type { NetworkAttachment, Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import type { View } from '../store/view.ts'
import { allocateEndpoint, isSameEndpoint } from './service-endpoint.ts'
import { attachedNetworks } from './service-networks.ts'
import type { Blocked } from './subnets.ts'

/** Whether a task still waits for the allocator. */
export const isNew = (task: Task): boolean =>
  task.Status.State === 'new' && isWanted(task.DesiredState)

/**
 * `early`: nothing to say yet, a change to come triggers the next try. Else a `new` task as `pending`: its networks are known and the service's ports have numbers, so that a node can be chosen. Addresses
 * depend on the node and come with it.
 */
export const allocateTask = (
  view: View,
  task: Task,
  now: string,
): { kind: 'allocated'; task: Task } | Blocked | { kind: 'early' } => {
  const service = view.get('service', task.ServiceID)
  // Its removal ends the task.
  if (service === undefined) return { kind: 'early' }
  const wanted = allocateEndpoint(view, service)
  if (wanted.kind === 'blocked') return wanted
  // The service just changed and comes first.
  if (!isSameEndpoint(wanted.endpoint, service.Endpoint)) return { kind: 'early' }
  const attached = attachedNetworks(view, task.Spec, task.Swarmctl.Endpoint)
  if (attached.kind === 'blocked') return attached
  const NetworksAttachments = attached.networks.map(
    ({ network, aliases }): NetworkAttachment => ({
      Network: network,
      Addresses: [],
      ...(aliases.length > 0 && { Aliases: aliases }),
    }),
  )
  const Ports = task.Swarmctl.Endpoint.Ports?.map((port) => withNumber(port, service))
  return {
    kind: 'allocated',
    task: {
      ...task,
      NetworksAttachments,
      Status: { Timestamp: now, State: 'pending', Message: 'pending task scheduling' },
      Swarmctl: {
        ...task.Swarmctl,
        Endpoint: { ...task.Swarmctl.Endpoint, ...(Ports && { Ports }) },
      },
    },
  }
}

/** The task was made before the allocator gave its service the number. */
const withNumber = (port: PortConfig, service: Service): PortConfig => {
  if (port.PublishMode !== 'ingress' || (port.PublishedPort ?? 0) > 0) return port
  return (
    (service.Endpoint.Ports ?? []).find(
      (given) =>
        given.Protocol === port.Protocol &&
        given.TargetPort === port.TargetPort &&
        given.PublishMode === port.PublishMode &&
        given.Name === port.Name,
    ) ?? port
  )
}
