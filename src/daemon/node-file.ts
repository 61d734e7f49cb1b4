import { readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmctlError } from '../api/errors.ts'
import { syncDirectory, writeFileAtomic } from '../pki/atomic-file.ts'

/** Version of this file's format. */
const FORMAT = 1

/** All that a node keeps of its cluster below the data directory. */
const NODE_FILES = [
  'node.json',
  'credentials.json',
  'data-key.json',
  'raft',
  'raft-damaged',
  'agent',
  'overlay-view.json',
]

/** What a node remembers of its membership besides its credentials. */
export interface NodeRecord {
  nodeId: string
  clusterId: string
  listenAddr: string
  /** host:port that the others reach this node at. */
  advertiseAddr: string
  /** IPv4 for traffic between containers. */
  dataPathAddr: string
  /** The swarm's port of the overlay, as this daemon had it when the node became a member. Absent: from before that was kept. */
  dataPathPort?: number
  /** Managers known last, to find the cluster again. */
  managers: { nodeId: string; addr: string }[]
  /** Index of the state that said so. Absent: whoever asked this node to join, or began a cluster here. */
  managersAsOf?: number
  /** The network device that had the advertised address: when that changes, this node's does. Absent: none of this machine. */
  device?: string
  /** A log of this manager is, or was, on its disk: when it is gone, what this node voted and acknowledged is forgotten. */
  hasLog?: boolean
  /** This manager goes on without the other managers (`init --force-new-cluster`), which are still to be forgotten. */
  forcesNewCluster?: boolean
}

const pathIn = (dataDir: string): string => join(dataDir, 'node.json')
/** The record of a node that is forgetting its cluster: it is in no swarm any more, and its files may still be there. */
const leftPathIn = (dataDir: string): string => join(dataDir, 'node-left.json')

const ignoreMissing = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error
}

/** Reads the record; undefined when this node is in no swarm. */
export const loadNodeRecord = async (dataDir: string): Promise<NodeRecord | undefined> => {
  const path = pathIn(dataDir)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { format, ...record } = parse(path, text)
  if (format !== FORMAT) {
    throw new SwarmctlError(
      'INTERNAL',
      `${path} has format ${format}, this swarmctl reads format ${FORMAT}: use the swarmctl that wrote it, or a newer one`,
    )
  }
  return record
}

const parse = (path: string, text: string): NodeRecord & { format: unknown } => {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    content = undefined
  }
  if (typeof content === 'object' && content !== null) {
    return content as NodeRecord & { format: unknown }
  }
  throw new SwarmctlError(
    'INTERNAL',
    `${path} is damaged: put it back from a copy of the data directory, or run "swarmctl leave --force" and join again`,
  )
}

/** Whether the node is in a swarm. A record that can't be read is one all the same: resuming says what is wrong with it. */
export const isMember = async (dataDir: string): Promise<boolean> => {
  try {
    return (await loadNodeRecord(dataDir)) !== undefined
  } catch {
    return true
  }
}

/**
 * Forgets the cluster, durably. The record goes first, by a new name: from then on the node is in no swarm, and a crash leaves a word that
 * keys and log of one are still to be removed.
 */
export const removeNodeFiles = async (dataDir: string): Promise<void> => {
  await rename(pathIn(dataDir), leftPathIn(dataDir)).catch(ignoreMissing)
  await syncDirectory(dataDir)
  for (const name of NODE_FILES) {
    await rm(join(dataDir, name), { recursive: true, force: true })
    // Of a write that a crash cut short: a key may be in it.
    await rm(join(dataDir, `${name}.new`), { force: true })
  }
  await syncDirectory(dataDir)
  await rm(leftPathIn(dataDir), { force: true })
  await syncDirectory(dataDir)
}

/** Removes what a `removeNodeFiles` left that a crash cut short. */
export const finishRemoval = async (dataDir: string): Promise<void> => {
  const isCutShort = await stat(leftPathIn(dataDir)).then(() => true, ignoreMissing)
  if (isCutShort) await removeNodeFiles(dataDir)
}

/** Writes the record so that a crash leaves the old or the new one; one write after the other, the last one wins. */
export class NodeFile {
  readonly #dataDir: string
  #writing: Promise<void> = Promise.resolve()

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  store(record: NodeRecord): Promise<void> {
    const text = `${JSON.stringify({ format: FORMAT, ...record })}\n`
    const write = this.#writing
      .catch(() => {})
      .then(() => writeFileAtomic(pathIn(this.#dataDir), text))
    this.#writing = write
    return write
  }
}
