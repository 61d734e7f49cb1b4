import type { Clock } from '../api/clock.ts'
import type { Credentials } from '../pki/credentials.ts'
import type { Member, MemberStart } from './member.ts'
import { NodeFile, type NodeRecord, removeNodeFiles } from './node-file.ts'
import { NodeKeys } from './node-keys.ts'
import { type OpenedBackup, seedManager } from './restore.ts'

/** What a cluster begins with, or begins again. */
export type Origin = NonNullable<MemberStart['bootstrap']> | OpenedBackup

/** Who a node is to be. Without an origin others lead its cluster. */
export interface Beginning {
  record: NodeRecord
  credentials: Credentials
  origin?: Origin
}

export interface BeginningDeps {
  dataDir: string
  clock: Clock
  /** Takes part. */
  run: (start: MemberStart) => Promise<void>
  untilLeading: () => Promise<void>
  /** Who takes part now. */
  member: () => Member | undefined
}

/** Becomes a member, in an order in which a crash at any place leaves a node that is one or can become one. */
export const beginMembership = async (beginning: Beginning, deps: BeginningDeps): Promise<void> => {
  const { record, credentials, origin } = beginning
  // An init or a restore that a crash cut short left a log of another node's, before its record was written.
  await removeNodeFiles(deps.dataDir)
  const keys = await NodeKeys.create(deps.dataDir, origin?.cluster.Swarmctl.UnlockKey)
  const start = { record, credentials, keys }
  if (origin) await found(start, origin, deps)
  else await takeUp(start, deps)
}

/** The record last: a crash before it leaves a node in no swarm, and nobody has heard of what it began. */
const found = async (
  start: MemberStart & { keys: NodeKeys },
  origin: Origin,
  { dataDir, clock, run, untilLeading, member }: BeginningDeps,
): Promise<void> => {
  const { keys, credentials } = start
  const isRestored = 'entries' in origin
  if (isRestored) await seedManager(dataDir, origin, { clock, dataKey: keys.dataKey })
  await run({ ...start, isNew: true, ...(!isRestored && { bootstrap: origin }) })
  // What the cluster begins with is in the log before a restart could ask for it.
  await untilLeading()
  // It may have been given another certificate already.
  await keys.storeCredentials(member()?.start.credentials ?? credentials)
  await member()?.storeRecord()
}

/**
 * The record first: the cluster knows this node since it answered, and gives a manager its vote as soon as it has the state. After a crash
 * it has to come back, or a vote is missing for good: of two managers that is the majority.
 */
const takeUp = async (
  start: MemberStart & { keys: NodeKeys },
  { dataDir, run }: BeginningDeps,
): Promise<void> => {
  await start.keys.storeCredentials(start.credentials)
  await new NodeFile(dataDir).store(start.record)
  await run(start)
}
