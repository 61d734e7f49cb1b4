import { hostname } from 'node:os'
import type { Clock } from '../api/clock.ts'
import { DEFAULT_ADDR_POOL, DEFAULT_SUBNET_SIZE, GIVEN_POOLS_SUBNET_SIZE } from '../api/defaults.ts'
import { invalid } from '../api/errors.ts'
import { newId } from '../api/id.ts'
import { requireCidr } from '../api/ipv4.ts'
import type { NodeSpec } from '../api/node.ts'
import type { InitRequest } from '../api/swarm.ts'
import {
  type CreatedCluster,
  createCluster,
  DATA_PATH_PORT_DEFAULT,
} from '../manager/ca/create-cluster.ts'
import { newUnlockKey } from '../pki/data-key.ts'

/** What `init` begins with. Throws INVALID_ARGUMENT. */
export const newCluster = (
  request: InitRequest,
  own: { clock: Clock; addr: string; dataPathPort: number },
): Promise<CreatedCluster> => {
  const isLocking =
    request.AutoLockManagers || request.Spec.EncryptionConfig?.AutoLockManagers === true
  return createCluster(
    { clock: own.clock, newId },
    {
      spec: { ...request.Spec, EncryptionConfig: { AutoLockManagers: isLocking } },
      addr: own.addr,
      availability: availabilityOf(request.Availability),
      hostname: hostname(),
      ...addressSpace(request),
      dataPathPort: dataPathPort(request.DataPathPort, own.dataPathPort),
      unlockKey: isLocking ? newUnlockKey() : undefined,
    },
  )
}

/** A network with fewer addresses has none left for tasks (moby `validateDefaultAddrPool`). */
const SUBNET_SIZE_MAX = 29

/** Pools that can't be read, or that no network has room in, would block every network of the swarm. */
const addressSpace = ({ DefaultAddrPool, SubnetSize }: InitRequest) => {
  const isGiven = DefaultAddrPool.length > 0
  const size = SubnetSize || (isGiven ? GIVEN_POOLS_SUBNET_SIZE : DEFAULT_SUBNET_SIZE)
  if (size > SUBNET_SIZE_MAX) throw invalid(`subnet size is out of range: ${size}`)
  for (const pool of isGiven ? DefaultAddrPool : DEFAULT_ADDR_POOL) {
    if (size >= requireCidr(pool).prefix) continue
    throw invalid(
      `the address pool ${pool} has no room for a /${size} network: give smaller ones with --default-addr-pool-mask-length`,
    )
  }
  return { defaultAddrPool: DefaultAddrPool, subnetSize: size }
}

/** The daemon's own port is what runs; another one that was asked for must not be dropped silently. */
const dataPathPort = (wanted: number, own: number): number => {
  // The default is what the command line sends for a flag that was not given.
  if (wanted === 0 || wanted === DATA_PATH_PORT_DEFAULT || wanted === own) return own
  throw invalid(
    `this daemon was started with --data-path-port ${own}: start it, and those of the other nodes, with --data-path-port ${wanted}`,
  )
}

/** `Availability` of a request. Throws INVALID_ARGUMENT. */
export const availabilityOf = (text: string): NodeSpec['Availability'] => {
  switch (text) {
    case '':
    case 'active':
      return 'active'
    case 'pause':
    case 'drain':
      return text
    default:
      throw invalid(`invalid Availability "${text}": must be active, pause or drain`)
  }
}
