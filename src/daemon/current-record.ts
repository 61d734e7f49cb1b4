import type { Log } from '../api/log.ts'
import type { Interfaces } from './addresses.ts'
import { movedRecord } from './node-addresses.ts'
import { loadNodeRecord, NodeFile, type NodeRecord } from './node-file.ts'

/** The node's stored record, with the addresses that it has now; undefined when it is in no swarm. */
export const currentRecord = async (
  dataDir: string,
  interfaces: Interfaces,
  log: Log,
): Promise<NodeRecord | undefined> => {
  const stored = await loadNodeRecord(dataDir)
  if (!stored) return undefined
  const record = movedRecord(stored, interfaces)
  const [before, now] = [stored.advertiseAddr, record.advertiseAddr]
  if (before === now) return stored
  log.info({ before, now }, 'this node has another address')
  await new NodeFile(dataDir).store(record)
  return record
}
