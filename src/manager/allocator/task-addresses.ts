import { precondition } from '../../api/errors.ts'
import { containsAddress, formatIpv4, parseIpv4 } from '../../api/ipv4.ts'
import type { Network } from '../../api/network.ts'
import type { NetworkAttachment, Task } from '../../api/task.ts'
import { addressScope } from '../store/claims.ts'
import type { Tx } from '../store/tx.ts'
import {
  type AddressPool,
  freeAddress,
  isTaskAddress,
  planOf,
  taskAddresses,
  taskRange,
} from './address-plan.ts'
import { isOverlay } from './service-networks.ts'
import { poolOf, requestedPool } from './subnets.ts'

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
      ? grant(tx, attachment, {
          id: nodeId,
          index: node.Swarmctl.Index,
          fixed: fixedOn(task, attachment),
        })
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

/** The address that the task's spec names on the network. */
const fixedOn = ({ Spec }: Task, { Network }: NetworkAttachment): string | undefined =>
  Spec.Networks?.find(({ Target }) => Target === Network.ID)?.Swarmctl?.IPv4Address

interface Place {
  /** Of the node. */
  id: string
  index: number
  /** The only address that will do. */
  fixed: string | undefined
}

const grant = (
  tx: Tx,
  attachment: NetworkAttachment,
  { id: nodeId, index: nodeIndex, fixed }: Place,
): Grant => {
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
  const claims = gateway === undefined ? tx : withClaim(tx, gateway)
  const address =
    fixed === undefined
      ? freeAddress(claims, network.ID, range)
      : fixedAddress(claims, network, pool, fixed)
  if (address === undefined) throw full()
  const Addresses = [`${formatIpv4(address)}/${pool.subnet.prefix}`]
  if (gateway === undefined) return { attachment: { ...attachment, Network: network, Addresses } }
  const Gateways = { ...network.Swarmctl.Gateways, [nodeId]: formatIpv4(gateway) }
  const changed = { ...network, Swarmctl: { ...network.Swarmctl, Gateways } }
  return { attachment: { ...attachment, Network: changed, Addresses }, network: changed }
}

/** The address itself, if the network has it and nobody holds it. @throws SwarmctlError FAILED_PRECONDITION */
const fixedAddress = (
  claims: Pick<Tx, 'claimOwner'>,
  network: Network,
  pool: AddressPool,
  fixed: string,
): number => {
  const address = parseIpv4(fixed)
  const name = network.Spec.Name
  if (address === undefined || !isTaskAddress(pool, address)) {
    throw precondition(noSuchAddress(network, pool, fixed))
  }
  if (claims.claimOwner(addressScope(network.ID), address) !== undefined) {
    throw precondition(`address ${fixed} of network ${name} is in use`)
  }
  return address
}

const noSuchAddress = ({ Spec }: Network, pool: AddressPool, fixed: string): string => {
  const text = `network ${Spec.Name} has no address ${fixed} for tasks`
  const address = parseIpv4(fixed)
  const isWithin = address !== undefined && containsAddress(pool.subnet, address)
  if (!isWithin || planOf(pool) === 'flat') return text
  return `${text}: they have ${taskAddresses(pool)} there, but for those that end in .0, .1 and .255; a subnet smaller than a /16, or an IP range, has no such gaps`
}

/**
 * Why no task can ever have the address that a service asks for on the network; undefined when one may, and while the network has no
 * subnet that could tell.
 */
export const addressRefusal = (network: Network, fixed: string): string | undefined => {
  const pool = poolOf(network) ?? requestedPool(network)
  if (pool === undefined) return undefined
  const address = parseIpv4(fixed)
  const isPossible = address !== undefined && isTaskAddress(pool, address)
  return isPossible ? undefined : noSuchAddress(network, pool, fixed)
}

/** Whether a task may have the address now. */
export const isAvailable = (
  view: Pick<Tx, 'claimOwner'>,
  network: Network,
  text: string,
): boolean => {
  const pool = poolOf(network)
  const address = parseIpv4(text)
  return (
    pool !== undefined &&
    address !== undefined &&
    isTaskAddress(pool, address) &&
    view.claimOwner(addressScope(network.ID), address) === undefined
  )
}

/** What `freeAddress` looks at, with one more address taken. */
const withClaim = (tx: Tx, taken: number): Pick<Tx, 'claimOwner' | 'releasedOrder'> => ({
  claimOwner: (scope, key) => (key === taken ? 'gateway' : tx.claimOwner(scope, key)),
  releasedOrder: (scope, key) => tx.releasedOrder(scope, key),
})
