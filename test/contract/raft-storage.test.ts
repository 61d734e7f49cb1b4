import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { MemoryStateDisk, MemoryStateStorage } from '../../src/raft/memory-state-storage.ts'
import { MemoryWal, MemoryWalDisk } from '../../src/raft/memory-wal.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { FileWal } from '../../src/raft/wal.ts'
import { NodeWalFiles } from '../../src/raft/wal-files.ts'
import { systemClock as clock } from '../support/raft/system-clock.ts'
import { stateContract } from './state-storage-suite.ts'
import { walContract } from './wal-suite.ts'

const dataKey = new Uint8Array(32).fill(1)
const directories: string[] = []

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'raft-contract-'))
  directories.push(path)
  return path
}

t.teardown(() => Promise.all(directories.map((path) => rm(path, { recursive: true, force: true }))))

walContract(t, 'memory log', async () => {
  const disk = new MemoryWalDisk()
  return { reopen: () => new MemoryWal({ disk, clock }) }
})

walContract(t, 'log on files', async () => {
  const files = new NodeWalFiles(await directory())
  return { reopen: () => new FileWal({ files, clock, dataKey }, { segmentBytes: 64 * 1024 }) }
})

stateContract(t, 'memory state', async () => {
  const disk = new MemoryStateDisk()
  return { reopen: () => new MemoryStateStorage({ disk, clock }) }
})

stateContract(t, 'state in LevelDB', async () => {
  const path = await directory()
  const onTrouble = (error: Error) => t.fail(error.message)
  return { reopen: () => new LevelStateStorage(path, { clock, dataKey, onTrouble }) }
})
