import type { Clock } from '../api/clock.ts'
import { invalid, precondition, SwarmctlError } from '../api/errors.ts'
import type { Node } from '../api/node.ts'
import type { Cluster, Restored } from '../api/swarm.ts'
import { openBackup } from '../backup/sealed-file.ts'
import { certificateLifetimeMs } from '../manager/ca/certificate-authority.ts'
import { signingCA, trustRootOf } from '../manager/ca/cluster-ca.ts'
import { signNode } from '../manager/ca/node-signer.ts'
import { StoreState } from '../manager/store/state.ts'
import { type Credentials, readCredentials } from '../pki/credentials.ts'
import { createKeyAndCsr } from '../pki/csr.ts'
import type { SnapshotMeta } from '../raft/message.ts'
import { decodeSnapshotMeta, decodeStateEntries } from '../raft/snapshot-message.ts'
import type { StateEntry } from '../raft/state-port.ts'
import { BackupHead } from './backup.ts'
import type { NodeAddresses } from './node-addresses.ts'
import type { NodeRecord } from './node-file.ts'
import { raftClock, raftStorage } from './raft-storage.ts'

/** Entries that are stored with one write. */
const INSTALL_ENTRIES = 500

/** A backup's content, whole and checked. */
export interface OpenedBackup {
  head: BackupHead
  meta: SnapshotMeta
  entries: StateEntry[]
  cluster: Cluster
  /** The manager that wrote it, which the restored one takes the place of. */
  node: Node
  /** The other managers, which are forgotten: their host names. */
  otherManagers: string[]
}

const strange = (cause: unknown): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', 'the content of the backup can not be read', { cause })

const readHead = (chunk: Uint8Array): { head: BackupHead; meta: SnapshotMeta } => {
  try {
    const head = BackupHead.parse(JSON.parse(Buffer.from(chunk).toString('utf8')))
    return { head, meta: decodeSnapshotMeta(Buffer.from(head.meta, 'base64')) }
  } catch (cause) {
    throw strange(cause)
  }
}

const readObjects = async (index: number, entries: readonly StateEntry[]): Promise<StoreState> => {
  const state = new StoreState()
  try {
    const restore = state.beginRestore(index)
    restore.add(entries)
    await restore.commit(() => Promise.resolve())
  } catch (cause) {
    throw strange(cause)
  }
  return state
}

/** Reads all of a backup before anything is changed. Throws what `openBackup` does, and INVALID_ARGUMENT. */
export const readBackup = async (
  bytes: AsyncIterable<Uint8Array>,
  passphrase: string,
): Promise<OpenedBackup> => {
  let first: ReturnType<typeof readHead> | undefined
  const entries: StateEntry[] = []
  for await (const chunk of openBackup(bytes, passphrase)) {
    if (first) entries.push(...decodeStateEntries(chunk))
    else first = readHead(chunk)
  }
  if (!first) throw strange(undefined)
  const view = (await readObjects(first.meta.index, entries)).view()
  const cluster = view.cluster()
  const node = view.get('node', first.head.nodeId)
  if (!cluster || !node)
    throw invalid('the backup holds no swarm: it was made before there was one')
  const otherManagers = view
    .list('node')
    .filter(({ ID, Spec }) => ID !== node.ID && Spec.Role === 'manager')
    .map(({ Description }) => Description.Hostname)
  return { ...first, entries, cluster, node, otherManagers }
}

/** Stores a backup's state as the log and state of a manager, in an empty data directory. */
export const seedManager = async (
  dataDir: string,
  { meta, entries }: OpenedBackup,
  { clock, dataKey }: { clock: Clock; dataKey: Uint8Array },
): Promise<void> => {
  const { wal, state } = raftStorage(dataDir, {
    ...{ clock: raftClock(clock), dataKey },
    onTrouble: () => {},
  })
  try {
    await state.open()
    const install = await state.beginInstall(meta)
    for (let at = 0; at < entries.length; at += INSTALL_ENTRIES) {
      await install.add(entries.slice(at, at + INSTALL_ENTRIES))
    }
    await install.commit()
    await wal.open()
    const { index, term } = meta
    const hardState = { term, vote: null, commit: index }
    await wal.append({ hardState, reset: { index, term }, entries: [] })
  } finally {
    await wal.close()
    await state.close()
  }
}

/** New credentials for the manager that the backup was made by: its old private key is not in it, the CA's is. */
export const restoredCredentials = async (
  { cluster, node }: OpenedBackup,
  clock: Clock,
): Promise<Credentials> => {
  if (signingCA(cluster).keyPem === '') {
    throw precondition(
      "this swarm's CA has its key outside (external CA): the backup alone can't certify a manager",
    )
  }
  const { keyPem, csrPem } = await createKeyAndCsr()
  const certPem = await signNode({ clock }, cluster, {
    ...{ csrPem, nodeId: node.ID, role: 'manager', clusterId: cluster.ID },
    lifetimeMs: certificateLifetimeMs(cluster),
  })
  return readCredentials({ keyPem, certPem, rootCAPem: trustRootOf(cluster.Swarmctl) })
}

/** What the restored manager remembers of its membership: the others are forgotten. */
export const restoredRecord = (
  { cluster, node }: OpenedBackup,
  addresses: NodeAddresses,
): NodeRecord => ({
  ...addresses,
  nodeId: node.ID,
  clusterId: cluster.ID,
  dataPathPort: cluster.DataPathPort,
  managers: [{ nodeId: node.ID, addr: addresses.advertiseAddr }],
  hasLog: true,
  forcesNewCluster: true,
})

/** What `restore` tells its caller. */
export const restoredAnswer = (backup: OpenedBackup): Restored => ({
  NodeID: backup.node.ID,
  ClusterID: backup.cluster.ID,
  CreatedAt: backup.head.createdAt,
  Index: backup.head.index,
  RemovedManagers: backup.otherManagers,
})
