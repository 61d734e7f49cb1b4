import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ManagerAddr } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { segmentNumber } from '../raft/wal-segment.ts'
import type { RpcPool } from '../rpc/pool.ts'

/** Rpc request by which a manager that lost its log asks to begin anew. */
export const REJOIN_METHOD = 'manager.rejoin'
/** When nobody could be asked it is tried again after this time. */
const RETRY_MS = 1_000
/** Includes a change of the membership. */
const REJOIN_TIMEOUT_MS = 20_000

/** `done`: what this node was is removed, and it may come back as a learner. */
const RejoinAnswer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done') }),
  z.object({ kind: z.literal('redirect'), nodeId: z.string(), addr: z.string() }),
])
export type RejoinAnswer = z.infer<typeof RejoinAnswer>

const DIRECTORY = 'raft'
/** Where a damaged log and state are kept for whoever wants to look at them: the last ones only. */
const DAMAGED_DIRECTORY = 'raft-damaged'

/** Where a manager keeps its log and its state. */
export const raftDirectory = (dataDir: string): string => join(dataDir, DIRECTORY)

/** Whether there is any log of this manager. */
export const hasLogOnDisk = async (dataDir: string): Promise<boolean> => {
  try {
    const names = await readdir(join(raftDirectory(dataDir), 'wal'))
    return names.some((name) => segmentNumber(name) !== undefined)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Puts what is there of a damaged log and state aside, and returns where. What was put aside before is gone then. */
export const setAsideLog = async (dataDir: string): Promise<string | undefined> => {
  if (!(await readdir(dataDir)).includes(DIRECTORY)) return undefined
  const aside = join(dataDir, DAMAGED_DIRECTORY)
  await rm(aside, { recursive: true, force: true })
  await rename(raftDirectory(dataDir), aside)
  return aside
}

/** What a manager that is the only one says of its damage. */
export const onlyManagerError = (damage: string): SwarmctlError =>
  new SwarmctlError(
    'INTERNAL',
    `${damage}, and no other manager has a copy: run "swarmctl leave --force" and then "swarmctl restore FILE" with a backup`,
  )

/** What a manager says while it takes the state anew. */
export const recoveryText = (damage: string): string =>
  `${damage}: this manager does not vote and takes its state anew from the other managers`

export interface RejoinDeps {
  pool: Pick<RpcPool, 'get'>
  clock: Clock
  log: Log
  /** The other managers, as this node last knew them. */
  managers: () => readonly ManagerAddr[]
  isOver: () => boolean
}

/**
 * Asks until a leader has removed what this node was: then no vote and no acknowledgement that it forgot counts any more, and it may
 * begin anew as a learner. Resolves with false when it is over before.
 */
export const askToRejoin = async (deps: RejoinDeps): Promise<boolean> => {
  let told = ''
  while (!deps.isOver()) {
    try {
      await askOnce(deps)
      return true
    } catch (error) {
      const { message } = toSwarmctlError(error)
      if (message !== told) deps.log.warn({ reason: message }, 'can not begin anew yet')
      told = message
      await new Promise<void>((resolve) => deps.clock.schedule(RETRY_MS, resolve))
    }
  }
  return false
}

const askOnce = async (deps: RejoinDeps): Promise<void> => {
  let lastError: unknown = unavailable('no other manager is known')
  for (const manager of deps.managers()) {
    try {
      const answer = await askAt(manager.addr, deps)
      if (answer.kind === 'done') return
      if ((await askAt(answer.addr, deps)).kind === 'done') return
      lastError = unavailable('the managers are choosing a leader')
    } catch (error) {
      lastError = error
    }
  }
  throw lastError
}

const askAt = async (addr: string, { pool }: RejoinDeps): Promise<RejoinAnswer> => {
  const connection = await pool.get(addr)
  const options = { timeoutMs: REJOIN_TIMEOUT_MS }
  return RejoinAnswer.parse(await connection.request(REJOIN_METHOD, {}, options))
}
