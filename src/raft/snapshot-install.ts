// A snapshot that has come whole comes into use: first on the disk, then in memory.

import type { Clock } from './clock.ts'
import { StoppedError, StorageFailedError } from './errors.ts'
import type { RaftLogger } from './node-ports.ts'
import type { StagedSnapshot } from './snapshot-receiver.ts'
import type { StateInstall } from './state-port.ts'

/** How long to wait before a snapshot that the disk refused to put in use is tried again. */
const RETRY_MS = 1_000

export interface InstallDeps {
  readonly clock: Clock
  readonly log: RaftLogger
  readonly isStopped: () => boolean
}

/** Meanwhile nothing is applied or promised. Throws StoppedError, and what is no failure of the disk. */
export async function takeOver(
  { install, restore }: Pick<StagedSnapshot, 'install' | 'restore'>,
  deps: InstallDeps,
): Promise<void> {
  const pause = async () => {
    await new Promise<void>((resolve) => deps.clock.defer(resolve))
    if (deps.isStopped()) throw new StoppedError()
  }
  await commitInstall(install, deps)
  await pause()
  await restore.commit(pause)
}

/**
 * Commits an install as soon as the disk takes it (it may be full for a while). Meanwhile the node is one whose disk is slow: it promises
 * nothing, since what it would answer waits behind the snapshot, and it campaigns for nothing.
 */
async function commitInstall(install: StateInstall, deps: InstallDeps): Promise<void> {
  const { clock, log, isStopped } = deps
  for (let attempts = 1; ; attempts += 1) {
    if (isStopped()) throw new StoppedError()
    try {
      await install.commit()
      return
    } catch (error) {
      if (!(error instanceof StorageFailedError)) throw error
      if (attempts === 1) log.warn('a snapshot waits for the disk', { cause: error.message })
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve))
    }
  }
}
