import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ManagerAddr } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { abortable } from '../raft/abortable.ts'
import { segmentNumber } from '../raft/wal-segment.ts'
import type { RpcConnection } from '../rpc/connection.ts'
import type { RpcPool } from '../rpc/pool.ts'
import { sleep } from '../worker/sleep.ts'

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

/** What is in the way of a new log and state. A disk of their own that was replaced has neither, and can't be renamed. */
const isAnythingLeft = async (dataDir: string): Promise<boolean> => {
  if (!(await readdir(dataDir)).includes(DIRECTORY)) return false
  const names = await readdir(raftDirectory(dataDir))
  return names.some((name) => name === 'wal' || name === 'state')
}

/** Puts what is there of a damaged log and state aside, and returns where. What was put aside before is gone then. */
export const setAsideLog = async (dataDir: string): Promise<string | undefined> => {
  if (!(await isAnythingLeft(dataDir))) return undefined
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
}

/**
 * Asks until a leader has removed what this node was: then no vote and no acknowledgement that it forgot counts any more, and it may
 * begin anew as a learner. Resolves with false as soon as it is over before: whoever ends the daemon waits for nobody who does not answer.
 */
export const askToRejoin = async (deps: RejoinDeps, over: AbortSignal): Promise<boolean> => {
  let told = ''
  while (!over.aborted) {
    try {
      await askOnce(deps, over)
      return true
    } catch (error) {
      if (over.aborted) return false
      const { message } = toSwarmctlError(error)
      if (message !== told) deps.log.warn({ reason: message }, 'can not begin anew yet')
      told = message
      await sleep(deps.clock, RETRY_MS, over)
    }
  }
  return false
}

const askOnce = async ({ pool, managers }: RejoinDeps, over: AbortSignal): Promise<void> => {
  let lastError: unknown = unavailable('no other manager is known')
  for (const manager of managers()) {
    try {
      const answer = await askAt(manager.addr, pool, over)
      if (answer.kind === 'done') return
      if ((await askAt(answer.addr, pool, over)).kind === 'done') return
      lastError = unavailable('the managers are choosing a leader')
    } catch (error) {
      lastError = error
    }
  }
  throw lastError
}

const askAt = async (
  addr: string,
  pool: RejoinDeps['pool'],
  signal: AbortSignal,
): Promise<RejoinAnswer> => {
  // Others may wait for the same connection: only this wait for it ends.
  const connection = await abortable<RpcConnection>(signal, ({ resolve, reject }) => {
    pool.get(addr).then(resolve, reject)
  })
  const options = { timeoutMs: REJOIN_TIMEOUT_MS, signal }
  return RejoinAnswer.parse(await connection.request(REJOIN_METHOD, {}, options))
}
