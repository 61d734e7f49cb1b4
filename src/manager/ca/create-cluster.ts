import type { Clock } from '../../api/clock.ts'
import {
  DEFAULT_ADDR_POOL,
  DEFAULT_SUBNET_SIZE,
  HEARTBEAT_PERIOD_MS,
  TASK_HISTORY_RETENTION_LIMIT,
} from '../../api/defaults.ts'
import { invalid } from '../../api/errors.ts'
import type { NewId } from '../../api/id.ts'
import { mergeSwarmSpec } from '../../api/merge-swarm-spec.ts'
import type { Node, NodeSpec } from '../../api/node.ts'
import type { Cluster, SwarmSpec } from '../../api/swarm.ts'
import { type Credentials, readCredentials } from '../../pki/credentials.ts'
import { createKeyAndCsr, readCsr } from '../../pki/csr.ts'
import { newJoinToken } from '../../pki/join-token.ts'
import {
  createRootCA,
  NODE_LIFETIME_MS,
  type RootCA,
  signNodeCertificate,
} from '../../pki/root-ca.ts'
import { parseHostPort } from '../../rpc/address.ts'
import { newMeta } from '../store/new-meta.ts'
import { certificateLifetimeMs } from './certificate-authority.ts'
import { clusterTLSInfo } from './cluster-ca.ts'
import { newNode } from './new-node.ts'
import { nodeIdOfKey } from './node-id.ts'
import { suppliedCA, withoutSigningCA } from './signing-ca.ts'

const NS_PER_MS = 1_000_000
/** IANA's VXLAN port, and Swarm's data path port. */
export const DATA_PATH_PORT_DEFAULT = 4789

export interface CreateClusterOptions {
  spec: SwarmSpec
  /** host:port that other nodes reach this node's cluster port at. */
  addr: string
  availability?: NodeSpec['Availability']
  hostname?: string
  /** CIDRs; empty: Docker's. */
  defaultAddrPool?: readonly string[]
  /** Bits of an overlay's subnet; 0: ours. */
  subnetSize?: number
  /** UDP; 0: 4789. */
  dataPathPort?: number
  /** `SWMKEY-1-…`, with `EncryptionConfig.AutoLockManagers`. */
  unlockKey?: string | undefined
}

/** What `swarm init` starts from: the first two objects of the store, and the first manager's credentials. */
export interface CreatedCluster {
  cluster: Cluster
  node: Node
  credentials: Credentials
}

/** Makes a cluster of one manager. Touches nothing but the clock and the random sources. */
export const createCluster = async (
  deps: { clock: Clock; newId: NewId },
  options: CreateClusterOptions,
): Promise<CreatedCluster> => {
  const root = firstRoot(options.spec, deps.clock) ?? (await createRootCA(deps.clock))
  const cluster = newCluster(deps.newId, root, options)
  const { keyPem, csrPem } = await createKeyAndCsr()
  const nodeId = nodeIdOfKey((await readCsr(csrPem)).publicKeyId)
  const certPem = await signNodeCertificate(
    root,
    {
      csrPem,
      nodeId,
      role: 'manager',
      clusterId: cluster.ID,
      lifetimeMs: certificateLifetimeMs(cluster),
    },
    deps.clock,
  )
  return {
    cluster,
    node: firstNode(nodeId, options),
    credentials: readCredentials({ keyPem, certPem, rootCAPem: root.certPem }),
  }
}

/** A swarm may begin with a CA that somebody brings. */
const firstRoot = ({ CAConfig = {} }: SwarmSpec, clock: Clock): RootCA | undefined => {
  const root = suppliedCA(CAConfig, clock.nowMs())
  if (root?.keyPem !== '') return root
  throw invalid(
    'a swarm begins with a CA whose key is here: provide the signing CA key, or rotate to this CA later (`swarm ca --rotate --ca-cert --external-ca`)',
  )
}

const newCluster = (newId: NewId, root: RootCA, options: CreateClusterOptions): Cluster => ({
  ...newMeta(newId()),
  Spec: withoutSigningCA(withSwarmDefaults(options.spec)),
  TLSInfo: clusterTLSInfo({ RootCACert: root.certPem }),
  RootRotationInProgress: false,
  DefaultAddrPool: options.defaultAddrPool?.length
    ? [...options.defaultAddrPool]
    : [...DEFAULT_ADDR_POOL],
  SubnetSize: options.subnetSize || DEFAULT_SUBNET_SIZE,
  DataPathPort: options.dataPathPort || DATA_PATH_PORT_DEFAULT,
  JoinTokens: {
    Worker: newJoinToken(root.certPem, newId),
    Manager: newJoinToken(root.certPem, newId),
  },
  Swarmctl: {
    RootCAKey: root.keyPem,
    RootCACert: root.certPem,
    RemovedNodes: [],
    ...(options.unlockKey !== undefined && { UnlockKey: options.unlockKey }),
  },
})

const firstNode = (nodeId: string, options: CreateClusterOptions): Node => ({
  ...newNode({
    nodeId,
    role: 'manager',
    availability: options.availability ?? 'active',
    hostname: options.hostname ?? '',
    index: 1,
    addr: options.addr,
    ip: parseHostPort(options.addr).host,
  }),
  ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: options.addr },
})

/** Docker's settings of a new cluster; the heartbeat is ours (design §6). */
const SWARM_DEFAULTS: SwarmSpec = {
  Name: 'default',
  Labels: {},
  Orchestration: { TaskHistoryRetentionLimit: TASK_HISTORY_RETENTION_LIMIT },
  Raft: {
    SnapshotInterval: 10_000,
    KeepOldSnapshots: 0,
    LogEntriesForSlowFollowers: 500,
    ElectionTick: 10,
    HeartbeatTick: 1,
  },
  Dispatcher: { HeartbeatPeriod: HEARTBEAT_PERIOD_MS * NS_PER_MS },
  CAConfig: { NodeCertExpiry: NODE_LIFETIME_MS * NS_PER_MS },
  TaskDefaults: {},
  EncryptionConfig: { AutoLockManagers: false },
}

/** A copy of the spec with Docker's defaults where it says nothing. */
export const withSwarmDefaults = (spec: SwarmSpec): SwarmSpec =>
  mergeSwarmSpec(spec, SWARM_DEFAULTS)
