import { z } from 'zod'
import { sealBackup } from '../backup/sealed-file.ts'
import { encodeSnapshotMeta, encodeStateEntries } from '../raft/snapshot-message.ts'
import type { StateView } from '../raft/state-port.ts'
import type { ManagerRuntime } from './manager-runtime.ts'
import { VERSION } from './version.ts'

/** Bytes of state in one chunk of a backup; one object may be larger. */
const CHUNK_BYTES = 256 * 1024

/** The first chunk of a backup, JSON; all others are keys and values of the state. */
export const BackupHead = z.object({
  clusterId: z.string(),
  /** The manager that wrote it: its id is what `restore` takes on. */
  nodeId: z.string(),
  /** Of the log: everything acknowledged before the backup was begun is in it, nothing that came later. */
  index: z.number().int(),
  createdAt: z.string(),
  /** Of the swarmctl that wrote it. */
  version: z.string(),
  /** Index, term and members, as raft's snapshots have them; base64. */
  meta: z.base64(),
})
export type BackupHead = z.infer<typeof BackupHead>

/** A backup on its way: of what, and the file's bytes. */
export interface Backup extends Pick<BackupHead, 'clusterId' | 'index'> {
  bytes: AsyncIterable<Uint8Array>
}

async function* chunksOf(head: BackupHead, view: StateView): AsyncGenerator<Uint8Array> {
  yield Buffer.from(JSON.stringify(head))
  for (;;) {
    const entries = await view.next(CHUNK_BYTES)
    if (entries === null) return
    yield encodeStateEntries(entries)
  }
}

/** The view is closed however it ends: a reader that went away after the file's header never began with the chunks. */
async function* bytesOf(head: BackupHead, view: StateView, passphrase: string) {
  try {
    yield* sealBackup(chunksOf(head, view), passphrase)
  } finally {
    await view.close()
  }
}

/** Backs up the state of a running manager, at one index, with the CA and all keys in it; writes go on meanwhile. */
export const createBackup = async (
  runtime: ManagerRuntime,
  options: { nodeId: string; clusterId: string; passphrase: string; nowMs: number },
): Promise<Backup> => {
  const view = await runtime.openStateView()
  const head = {
    clusterId: options.clusterId,
    nodeId: options.nodeId,
    index: view.meta.index,
    createdAt: new Date(options.nowMs).toISOString(),
    version: VERSION,
    meta: Buffer.from(encodeSnapshotMeta(view.meta)).toString('base64'),
  }
  const { clusterId, index } = head
  return { clusterId, index, bytes: bytesOf(head, view, options.passphrase) }
}
