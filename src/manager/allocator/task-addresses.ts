import { precondition } from '../../api/errors.ts'
import { formatIpv4 } from '../../api/ipv4.ts'
import type { Network } from '../../api/network.ts'
import type { NetworkAttachment, Task } from '../../api/task.ts'
import type { Tx } from '../store/tx.ts'
import { freeAddress, planOf, taskRange } from './address-plan.ts'
import { isOverlay } from './service-networks.ts'
import { poolOf } from './subnets.ts'

/**
 * The task with an address on each of its overlay networks, for its node: to be called in the transaction that assigns it. In a flat
 * subnet the node also gets its gateway there with its first task. The caller puts the task.
 * @throws SwarmctlError FAILED_PRECONDITION when the node or network is gone, or has no address left; nothing is changed then
 */
export const allocateTaskAddresses = (tx: Tx, task: Task, nodeId: string): Task => {
  const node = tx.get('node', nodeId)
  if (node === undefined) throw precondition(`node ${nodeId} is not there any more`)
  const grants = (task.NetworksAttachments ?? []).map((attachment) =>
    isOverlay(attachment.Network)
      ? grant(tx, attachment, nodeId, node.Swarmctl.Index)
      : { attachment },
  )
  for (const { network } of grants) {
    if (network !== undefined) tx.put('network', network)
  }
  return { ...task, NetworksAttachments: grants.map(({ attachment }) => attachment) }
}

interface Grant {
  attachment: NetworkAttachment
  /** The network when it changed. */
  network?: Network
}

const grant = (tx: Tx, attachment: NetworkAttachment, nodeId: string, nodeIndex: number): Grant => {
  const network = tx.get('network', attachment.Network.ID)
  const pool = network && poolOf(network)
  const name = attachment.Network.Spec.Name
  if (network === undefined || pool === undefined) {
    throw precondition(`network ${name} is not there any more`)
  }
  const range = taskRange(pool, nodeIndex)
  const isFlat = planOf(pool) === 'flat'
  const full = () =>
    precondition(
      isFlat
        ? `network ${name} has no free address left in its ${pool.range ? 'IP range' : 'subnet'}`
        : `network ${name} has no free address left in the node's block`,
    )
  const needsGateway = isFlat && network.Swarmctl.Gateways[nodeId] === undefined
  const gateway = needsGateway ? freeAddress(tx, network.ID, range) : undefined
  if (needsGateway && gateway === undefined) throw full()
  // Neither is claimed yet: the task must not get the gateway's address.
  const address =
    gateway === undefined
      ? freeAddress(tx, network.ID, range)
      : freeAddress(withClaim(tx, gateway), network.ID, range)
  if (address === undefined) throw full()
  const Addresses = [`${formatIpv4(address)}/${pool.subnet.prefix}`]
  if (gateway === undefined) return { attachment: { ...attachment, Network: network, Addresses } }
  const Gateways = { ...network.Swarmctl.Gateways, [nodeId]: formatIpv4(gateway) }
  const changed = { ...network, Swarmctl: { ...network.Swarmctl, Gateways } }
  return { attachment: { ...attachment, Network: changed, Addresses }, network: changed }
}

/** What `freeAddress` looks at, with one more address taken. */
const withClaim = (tx: Tx, taken: number): Pick<Tx, 'claimOwner' | 'releasedOrder'> => ({
  claimOwner: (scope, key) => (key === taken ? 'gateway' : tx.claimOwner(scope, key)),
  releasedOrder: (scope, key) => tx.releasedOrder(scope, key),
})
