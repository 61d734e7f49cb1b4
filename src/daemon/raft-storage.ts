import { join } from 'node:path'
import type { Clock } from '../api/clock.ts'
import type { Clock as RaftClock } from '../raft/clock.ts'
import { LevelStateStorage, type LevelStateStorageDeps } from '../raft/state-storage.ts'
import { FileWal, type FileWalDeps } from '../raft/wal.ts'
import { NodeWalFiles } from '../raft/wal-files.ts'
import { raftDirectory } from './manager-recovery.ts'

/** Raft's time, made of the daemon's. */
export const raftClock = (clock: Clock): RaftClock => ({
  after: (delayMs, callback) => clock.schedule(delayMs, callback),
  defer: (callback) => void setImmediate(callback),
})

/** A manager's log and state below its data directory; neither is open yet. */
export const raftStorage = (
  dataDir: string,
  deps: Omit<FileWalDeps, 'files'> & LevelStateStorageDeps,
): { wal: FileWal; state: LevelStateStorage } => {
  const directory = raftDirectory(dataDir)
  const files = new NodeWalFiles(join(directory, 'wal'))
  return {
    wal: new FileWal({ ...deps, files }),
    state: new LevelStateStorage(join(directory, 'state'), deps),
  }
}
