import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, type ProcessIdentity } from '../../test/support/lab/process-table.ts'

const POLL_MS = 50

/** SIGTERM, and SIGKILL to what still lives after `timeoutMs`; resolves when exactly this process is gone. */
export const endProcess = async (identity: ProcessIdentity, timeoutMs: number): Promise<void> => {
  if (!isAlive(identity)) return
  process.kill(identity.pid, 'SIGTERM')
  for (let waitedMs = 0; isAlive(identity); waitedMs += POLL_MS) {
    if (waitedMs > timeoutMs) process.kill(identity.pid, 'SIGKILL')
    await sleep(POLL_MS)
  }
}
