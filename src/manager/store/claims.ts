import { addressOf } from '../../api/ipv4.ts'
import type { Network } from '../../api/network.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal } from '../../api/task-state.ts'
import type { KindedObject } from './codec.ts'

/**
 * What only one object may have at a time: a name, an address, a number, a published port. Apply refuses a transaction that
 * claims what another object holds, so two concurrent creations can't both win, whoever proposed them.
 */
export interface Claim {
  scope: string
  key: string | number
}

export type NamedKind = 'service' | 'network' | 'secret' | 'config'

/** Names are unique without regard to case, as swarmkit's index has them. */
export const nameClaim = (kind: NamedKind, name: string): Claim => ({
  scope: `name/${kind}`,
  key: name.toLowerCase(),
})

export const addressScope = (networkId: string): string => `address/${networkId}`

/** Ports on every node's address that the routing mesh serves. */
export const portScope = (protocol: string): string => `port/${protocol}`

export const NODE_INDEX_SCOPE = 'node-index'
export const NETWORK_INDEX_SCOPE = 'network-index'

const addressClaim = (networkId: string, text: string): Claim[] => {
  const address = addressOf(text)
  return address === undefined ? [] : [{ scope: addressScope(networkId), key: address }]
}

const serviceClaims = (service: Service): Claim[] => [
  nameClaim('service', service.Spec.Name),
  ...[...(service.Spec.EndpointSpec?.Ports ?? []), ...(service.Endpoint.Ports ?? [])]
    .filter((port) => port.PublishMode === 'ingress' && (port.PublishedPort ?? 0) > 0)
    .map((port) => ({ scope: portScope(port.Protocol), key: port.PublishedPort ?? 0 })),
  ...(service.Endpoint.VirtualIPs ?? []).flatMap((vip) => addressClaim(vip.NetworkID, vip.Addr)),
]

/** A task holds its addresses until its container is known to be gone. */
const taskClaims = (task: Task): Claim[] =>
  isTerminal(task.Status.State)
    ? []
    : (task.NetworksAttachments ?? []).flatMap((attachment) =>
        attachment.Addresses.flatMap((address) => addressClaim(attachment.Network.ID, address)),
      )

const networkClaims = (network: Network): Claim[] => [
  nameClaim('network', network.Spec.Name),
  // 0: not allocated yet.
  ...(network.Swarmctl.Index > 0
    ? [{ scope: NETWORK_INDEX_SCOPE, key: network.Swarmctl.Index }]
    : []),
  ...Object.values(network.Swarmctl.Gateways).flatMap((address) =>
    addressClaim(network.ID, address),
  ),
]

/** Everything that an object holds alone. */
const claimsOf = (entry: KindedObject): Claim[] => {
  switch (entry.kind) {
    case 'service':
      return serviceClaims(entry.object)
    case 'task':
      return taskClaims(entry.object)
    case 'network':
      return networkClaims(entry.object)
    case 'secret':
    case 'config':
      return [nameClaim(entry.kind, entry.object.Spec.Name)]
    case 'node':
      return [{ scope: NODE_INDEX_SCOPE, key: entry.object.Swarmctl.Index }]
    case 'cluster':
      return []
    default:
      return entry satisfies never
  }
}

/** How claims name the object that holds them, and the key of its stored value. */
export const objectKey = (kind: string, id: string): string => `${kind}/${id}`

/** An object's key with all that it holds alone. */
export interface Holding {
  readonly owner: string
  readonly claims: readonly Claim[]
}

export const holdingOf = (entry: KindedObject): Holding => ({
  owner: objectKey(entry.kind, entry.object.ID),
  claims: claimsOf(entry),
})
