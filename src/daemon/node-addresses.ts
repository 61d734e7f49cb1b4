import { isIPv4 } from 'node:net'
import type { InitRequest, JoinRequest } from '../api/swarm.ts'
import { CLUSTER_PORT_DEFAULT } from '../rpc/address.ts'
import { addressTowards } from './address-towards.ts'
import {
  chooseAddress,
  chooseDataPathAddress,
  chooseListenHost,
  deviceOf,
  type Interfaces,
  ipv4Of,
  isUnspecified,
  splitHostPort,
  systemAddresses,
} from './addresses.ts'
import type { NodeRecord } from './node-file.ts'

/** A node's addresses, as its record keeps them. */
export type NodeAddresses = Pick<
  NodeRecord,
  'listenAddr' | 'advertiseAddr' | 'dataPathAddr' | 'device'
>

/** What `init` and `join` were asked for, completed by what the machine has. Throws INVALID_ARGUMENT. */
export const nodeAddresses = (
  request: Pick<InitRequest | JoinRequest, 'ListenAddr' | 'AdvertiseAddr' | 'DataPathAddr'>,
  interfaces: Interfaces,
): NodeAddresses => {
  const listen = splitHostPort(request.ListenAddr, CLUSTER_PORT_DEFAULT)
  const wanted = splitHostPort(request.AdvertiseAddr, listen.port)
  const listenHost = chooseListenHost(listen.host, interfaces)
  const fallback = isUnspecified(listenHost) ? '' : listenHost
  const host = chooseAddress('--advertise-addr', wanted.host || fallback, interfaces)
  const device = deviceOf(host, interfaces)
  return {
    listenAddr: `${listenHost}:${listen.port}`,
    advertiseAddr: `${host}:${wanted.port}`,
    dataPathAddr: chooseDataPathAddress(request.DataPathAddr, host, interfaces),
    ...(device !== undefined && { device }),
  }
}

/** Whether nothing says which of this machine's addresses is meant: neither the flags, nor an advertised address of its own. */
const leavesChoice = (
  { ListenAddr, AdvertiseAddr, DataPathAddr }: JoinRequest,
  interfaces: Interfaces,
): boolean => {
  const { host } = splitHostPort(AdvertiseAddr, CLUSTER_PORT_DEFAULT)
  if (host === '') return isUnspecified(splitHostPort(ListenAddr, CLUSTER_PORT_DEFAULT).host)
  return DataPathAddr === '' && isIPv4(host) && deviceOf(host, interfaces) === undefined
}

/**
 * What `join` was asked for, completed. Of several addresses nobody has to choose one: the node is reached at the one that its
 * traffic to the managers leaves from (with moby the managers take the one that they see). Throws INVALID_ARGUMENT.
 */
export const joiningAddresses = async (
  request: JoinRequest,
  interfaces: Interfaces,
  towards: (addr: string) => Promise<string | undefined> = addressTowards,
): Promise<NodeAddresses> => {
  const candidates = systemAddresses(interfaces)
  if (candidates.length > 1 && leavesChoice(request, interfaces)) {
    for (const addr of request.RemoteAddrs) {
      const own = await towards(addr)
      if (own === undefined || !candidates.some(({ address }) => address === own)) continue
      const chosen = {
        ...request,
        AdvertiseAddr: request.AdvertiseAddr || own,
        DataPathAddr: request.DataPathAddr || own,
      }
      return nodeAddresses(chosen, interfaces)
    }
  }
  return nodeAddresses(request, interfaces)
}

/**
 * The addresses of a node that starts again: when the device that had the recorded address has another one now (the machine moved,
 * DHCP gave another lease), that one. Nothing is guessed: a device that is gone or has no address yet may get the old one again.
 */
export const movedAddresses = (record: NodeAddresses, interfaces: Interfaces): NodeAddresses => {
  const { host, port } = splitHostPort(record.advertiseAddr, CLUSTER_PORT_DEFAULT)
  const [next] = ipv4Of(interfaces[record.device ?? ''])
  if (next === undefined || deviceOf(host, interfaces) !== undefined) return record
  const listen = splitHostPort(record.listenAddr, CLUSTER_PORT_DEFAULT)
  return {
    ...record,
    advertiseAddr: `${next}:${port}`,
    listenAddr: listen.host === host ? `${next}:${listen.port}` : record.listenAddr,
    dataPathAddr: record.dataPathAddr === host ? next : record.dataPathAddr,
  }
}

/** A node's record as it is after a move: a manager looks for itself at its new address, too. */
export const movedRecord = (record: NodeRecord, interfaces: Interfaces): NodeRecord => {
  const moved = movedAddresses(record, interfaces)
  const addr = moved.advertiseAddr
  const managers = record.managers.map((manager) =>
    manager.nodeId === record.nodeId ? { ...manager, addr } : manager,
  )
  return { ...record, ...moved, managers }
}
