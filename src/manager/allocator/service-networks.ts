import type { Network } from '../../api/network.ts'
import { needsIngress } from '../../api/service-defaults.ts'
import type { EndpointSpec, TaskSpec } from '../../api/service-spec.ts'
import { OVERLAY_DRIVER } from '../../api/validate/network.ts'
import type { View } from '../store/view.ts'
import { type Blocked, blocked, subnetOf } from './subnets.ts'

/** A network that tasks are attached to, with their aliases there. */
export interface AttachedNetwork {
  network: Network
  aliases: string[]
}

export const isOverlay = (network: Network): boolean =>
  network.Spec.DriverConfiguration.Name === OVERLAY_DRIVER

/** The networks of a service's or task's spec, the ingress network first, as Swarm orders them. All of them have their subnets. */
export const attachedNetworks = (
  view: View,
  spec: TaskSpec,
  endpoint: EndpointSpec | undefined,
): { kind: 'attached'; networks: AttachedNetwork[] } | Blocked => {
  const networks: AttachedNetwork[] = []
  if (needsIngress(endpoint)) {
    const ingress = view.list('network').find((network) => network.Spec.Ingress)
    if (ingress === undefined) {
      return blocked('no ingress network is present: create one with network create --ingress')
    }
    networks.push({ network: ingress, aliases: [] })
  }
  for (const { Target, Aliases, Swarmctl } of spec.Networks ?? []) {
    const network = view.get('network', Target)
    if (network === undefined) return blocked(`network ${Target} is not there any more`)
    networks.push({ network, aliases: [...(Aliases ?? []), ...(Swarmctl?.Aliases ?? [])] })
  }
  const waiting = networks.find(({ network }) => isOverlay(network) && !subnetOf(network))
  if (waiting !== undefined) {
    return blocked(`network ${waiting.network.Spec.Name} has no subnet yet`)
  }
  return { kind: 'attached', networks }
}
