import { execFileSync } from 'node:child_process'
import { constants, readlinkSync } from 'node:fs'
import {
  type FileHandle,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { LogFullError } from '../../src/raft/errors.ts'
import { LevelStateStorage } from '../../src/raft/state-storage.ts'
import { FileWal } from '../../src/raft/wal.ts'
import { NodeWalFiles, type WalFiles } from '../../src/raft/wal-files.ts'
import { SECTOR_BYTES } from '../../src/raft/wal-frame.ts'
import { batch, entry } from '../contract/wal-suite.ts'
import { systemClock } from '../support/raft/system-clock.ts'

const SEGMENT_BYTES = 64 * 1024
const dataKey = new Uint8Array(32).fill(9)

let directory = ''
t.beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raft-wal-'))
})
t.afterEach(() => rm(directory, { recursive: true, force: true }))

function open(files: WalFiles = new NodeWalFiles(directory), key = dataKey): FileWal {
  return new FileWal({ files, clock: systemClock, dataKey: key }, { segmentBytes: SEGMENT_BYTES })
}

/** Writes one frame for each entry, and leaves the files as a crash would: without a closing frame. */
async function writeFrames(count: number, wal = open()): Promise<FileWal> {
  await wal.open()
  for (let index = 1; index <= count; index += 1) {
    const hardState = { term: 1, vote: 'a', commit: index - 1 }
    await wal.append(batch([entry(index, 1)], { hardState }))
  }
  return wal
}

async function segments(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.wal')).sort()
}

/** Where the frames of a segment start: every sector that begins with the magic number. */
function frameOffsets(bytes: Buffer): number[] {
  const found: number[] = []
  for (let at = 512; at < bytes.length; at += 512) {
    if (bytes.readUInt32BE(at) === 0x53574631) found.push(at)
  }
  return found
}

async function damage(
  name: string,
  change: (bytes: Buffer, frames: number[]) => void,
): Promise<void> {
  const bytes = await readFile(join(directory, name))
  change(bytes, frameOffsets(bytes))
  await writeFile(join(directory, name), bytes)
}

async function lastIndexAfterReopen(): Promise<number | undefined> {
  const wal = open()
  const { entries } = await wal.open()
  await wal.close()
  return entries.at(-1)?.index
}

t.test('nothing that was written can be read in the files', async (t) => {
  const wal = open()
  await wal.open()
  await wal.append(batch([entry(1, 1, 'a secret that nobody may see')]))
  await wal.close()
  for (const name of await readdir(directory)) {
    t.notOk((await readFile(join(directory, name))).includes('secret'), name)
  }
})

t.test('many appends share one frame, and its sync', async (t) => {
  const wal = open()
  await wal.open()
  await Promise.all(Array.from({ length: 40 }, (_, at) => wal.append(batch([entry(at + 1, 1)]))))
  const bytes = await readFile(join(directory, (await segments())[0] ?? ''))
  t.equal(frameOffsets(bytes).length, 3, 'the checkpoint, the first, and one frame for all others')
  await wal.close()
})

t.test('a torn end is cut off, wherever the write was interrupted', async (t) => {
  const wal = await writeFrames(3)
  const name = (await segments())[0] ?? ''
  const whole = await readFile(join(directory, name))
  const last = frameOffsets(whole).at(-1) ?? 0
  // Not closed: the last frame is the last thing in the file. The crash is the copy made here.
  for (const kept of [0, 4, 59, 60, 90, 105]) {
    await damage(name, (bytes) => {
      whole.copy(bytes)
      bytes.fill(0, last + kept)
    })
    const copy = open()
    const { entries } = await copy.open()
    t.equal(entries.length, 2, `${kept} bytes of the frame are there`)
    await copy.close()
  }
  await wal.close()
})

t.test(
  'the log goes on after a torn end, and the rest of the torn frame is harmless',
  async (t) => {
    const wal = await writeFrames(2)
    await wal.append(batch([entry(3, 1, 'x'.repeat(5000))]))
    const name = (await segments())[0] ?? ''
    await damage(name, (bytes, frames) => bytes.fill(0, frames.at(-1), (frames.at(-1) ?? 0) + 512))
    const again = open()
    t.equal((await again.open()).entries.length, 2)
    await again.append(batch([entry(3, 2, 'short')]))
    await again.append(batch([entry(4, 2)]))
    await again.close()
    t.equal(await lastIndexAfterReopen(), 4)
  },
)

t.test('a damaged frame before a good one is corruption: every byte counts', async (t) => {
  const wal = await writeFrames(4)
  await wal.close()
  const name = (await segments())[0] ?? ''
  const whole = await readFile(join(directory, name))
  const frames = frameOffsets(whole)
  const second = frames[2] ?? 0
  for (const at of [0, 5, 13, 17, 30, 45, 61, 90]) {
    await damage(name, (bytes) => {
      whole.copy(bytes)
      bytes[second + at] = (bytes[second + at] ?? 0) ^ 1
    })
    await t.rejects(open().open(), { code: 'RAFT_STORAGE_CORRUPT' }, `byte ${at} of a frame`)
  }
})

t.test('after a clean stop even the last entry is proved by what follows it', async (t) => {
  const wal = await writeFrames(3)
  await wal.close()
  await damage((await segments())[0] ?? '', (bytes, frames) => {
    const lastEntry = frames.at(-2) ?? 0
    bytes[lastEntry + 70] = (bytes[lastEntry + 70] ?? 0) ^ 0x80
  })
  await t.rejects(open().open(), { code: 'RAFT_STORAGE_CORRUPT' })
})

t.test('a lost segment or header is corruption', async (t) => {
  const wal = await writeFrames(300)
  await wal.close()
  const names = await segments()
  t.ok(names.length >= 3, 'the log has several segments')
  const saved = await readFile(join(directory, names[1] ?? ''))
  await rm(join(directory, names[1] ?? ''))
  await t.rejects(open().open(), { code: 'RAFT_STORAGE_CORRUPT' }, 'a segment is missing')
  await writeFile(join(directory, names[1] ?? ''), saved)
  await damage(names[1] ?? '', (bytes) => {
    bytes[25] = (bytes[25] ?? 0) ^ 1
  })
  await t.rejects(open().open(), { code: 'RAFT_STORAGE_CORRUPT' }, 'a header is damaged')
})

t.test('another data key is told apart from damage', async (t) => {
  const wal = await writeFrames(1)
  await wal.close()
  const other = open(new NodeWalFiles(directory), new Uint8Array(32).fill(8))
  await t.rejects(other.open(), { code: 'RAFT_STORAGE_KEY' })
})

t.test('another format version is refused', async (t) => {
  const wal = await writeFrames(1)
  await wal.close()
  await damage((await segments())[0] ?? '', (bytes) => bytes.writeUInt32BE(2, 8))
  await t.rejects(open().open(), { code: 'RAFT_STORAGE_CORRUPT' })
})

t.test('segments fill up, are recycled, and the disk use stays bounded', async (t) => {
  const wal = open()
  await wal.open()
  let most = 0
  for (let index = 1; index <= 1200; index += 1) {
    const hardState = { term: 1, vote: 'a', commit: index }
    await wal.append(batch([entry(index, 1)], { hardState }))
    if (index % 50 === 0) {
      await wal.compactTo(index - 20)
      most = Math.max(most, (await readdir(directory)).length)
    }
  }
  t.ok(most <= 4, `${most} files at most`)
  await wal.close()
  const again = open()
  const { base, entries, hardState } = await again.open()
  t.equal(entries.at(-1)?.index, 1200)
  t.equal(base.index + entries.length, 1200)
  t.equal(hardState.vote, 'a', 'a checkpoint carries what older segments said')
  await again.close()
})

t.test(
  'a frame larger than what is left goes to the next segment, many large ones are split',
  async (t) => {
    const files = new NodeWalFiles(directory)
    const wal = new FileWal({ files, clock: systemClock, dataKey })
    await wal.open()
    const large = Array.from({ length: 6 }, (_, at) => entry(at + 1, 1, 'y'.repeat(900_000)))
    await wal.append(batch(large))
    await wal.close()
    const again = new FileWal({ files, clock: systemClock, dataKey })
    const { entries } = await again.open()
    t.equal(entries.length, 6)
    t.equal(entries[5]?.data.length, 900_000)
    await again.close()
  },
)

/** The real files, with failures. */
function failing(fail: { allocate?: boolean; write?: boolean }): WalFiles {
  const real = new NodeWalFiles(directory)
  const full = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
  return {
    list: () => real.list(),
    read: (name) => real.read(name),
    allocate: (name, bytes) => (fail.allocate ? full() : real.allocate(name, bytes)),
    open: async (name) => {
      const file = await real.open(name)
      return {
        close: () => file.close(),
        write: (bytes, offset) =>
          fail.write ? Promise.reject(new Error('EIO')) : file.write(bytes, offset),
      }
    },
    rename: (from, to) => real.rename(from, to),
    remove: (name) => real.remove(name),
  }
}

t.test('a full disk takes what is under way, asks for no more, and recovers', async (t) => {
  const fail = { allocate: false }
  const wal = open(failing(fail))
  await wal.open()
  await wal.append(batch([entry(1, 1)]))
  fail.allocate = true
  let index = 1
  while (!wal.roomError && index < 500) {
    index += 1
    await wal.append(batch([entry(index, 1)]))
  }
  t.match(wal.roomError, { message: /disk of the manager is full/ }, 'it says so')
  index += 1
  await wal.append(batch([entry(index, 1)]))
  t.pass('and still takes what was under way')
  fail.allocate = false
  await wal.compactTo(index - 1)
  t.equal(wal.roomError, undefined, 'a freed segment is room again')
  await wal.close()
  t.equal(await lastIndexAfterReopen(), index)
})

t.test('why there is no more room is kept and told, each reason once', async (t) => {
  const failure = (code: string, errno: number) => Object.assign(new Error(code), { code, errno })
  const readOnly = failure('EROFS', -30)
  // A quota that is used up has no name there.
  const overQuota = failure('Unknown system error -122', -122)
  const refusals = [undefined, readOnly, readOnly, overQuota, undefined]
  const files = new NodeWalFiles(directory)
  const allocate = files.allocate.bind(files)
  files.allocate = (name, bytes) => {
    const refusal = refusals.shift()
    return refusal === undefined ? allocate(name, bytes) : Promise.reject(refusal)
  }
  let retry: (() => void) | undefined
  const after = (_: number, callback: () => void) => {
    retry = callback
    return () => {}
  }
  const told: LogFullError[] = []
  const wal = new FileWal({
    ...{ files, dataKey, clock: { ...systemClock, after } },
    onTrouble: (error) => void told.push(error),
  })
  await wal.open()
  await wal.append(batch([entry(1, 1)]))
  const kept = new Set<string>()
  while (refusals.length > 0) {
    while (retry === undefined) await new Promise(setImmediate)
    const again = retry
    retry = undefined
    kept.add(wal.roomError?.message ?? '')
    again()
  }
  while (wal.roomError !== undefined) await new Promise(setImmediate)
  const messages = [
    'the log of the manager gets no more room (EROFS): mend that, and it goes on by itself',
    'the disk of the manager is full: free some space',
  ]
  t.strictSame([...kept], messages)
  t.strictSame(
    told.map(({ message }) => message),
    messages,
  )
  t.strictSame(
    told.map(({ cause }) => cause),
    [readOnly, overQuota],
  )
  await wal.close()
})

t.test('why a segment could not be made is told, also when what is left can’t go', async (t) => {
  // Whose score takes no zeros, and nothing in that directory can be removed.
  const files = new NodeWalFiles('/proc/self')
  await t.rejects(files.allocate('oom_score_adj', SECTOR_BYTES), { code: 'EINVAL' })
})

t.test('a failed write ends the log: nothing more is acknowledged', async (t) => {
  const fail = { write: false }
  const wal = open(failing(fail))
  await wal.open()
  await wal.append(batch([entry(1, 1)]))
  fail.write = true
  await t.rejects(wal.append(batch([entry(2, 1)])), { code: 'RAFT_STORAGE_FAILED' })
  fail.write = false
  await t.rejects(wal.append(batch([entry(2, 1)])), { code: 'RAFT_STORAGE_FAILED' })
  await wal.close()
  t.equal(await lastIndexAfterReopen(), 1)
})

/** The real files; a write that is held waits for ever, as one does that a crash prevents. */
function holding(isHeld: (name: string, offset: number) => boolean): WalFiles {
  const real = new NodeWalFiles(directory)
  return {
    list: () => real.list(),
    read: (name) => real.read(name),
    allocate: (name, bytes) => real.allocate(name, bytes),
    open: async (name) => {
      const file = await real.open(name)
      return {
        close: () => file.close(),
        write: (bytes, offset) =>
          isHeld(name, offset) ? new Promise(() => {}) : file.write(bytes, offset),
      }
    },
    rename: (from, to) => real.rename(from, to),
    remove: (name) => real.remove(name),
  }
}

t.test('a commit index is never durable before the entries that it speaks of', async (t) => {
  let writesLeft = Number.POSITIVE_INFINITY
  const files = holding(() => writesLeft-- <= 0)
  const wal = new FileWal({ files, clock: systemClock, dataKey })
  await wal.open()
  await wal.append(batch([entry(1, 1)], { hardState: { term: 1, vote: 'a', commit: 1 } }))
  // What a leader proposed waits for the disk, and behind it what another leader committed instead.
  writesLeft = 1
  const large = 'y'.repeat(700_000)
  const own = wal.append(batch([entry(2, 1, large)]))
  const others = batch([entry(2, 2, large)], { hardState: { term: 2, vote: null, commit: 2 } })
  wal.append(others).catch(() => {})
  await own
  const again = new FileWal({ files: new NodeWalFiles(directory), clock: systemClock, dataKey })
  const { entries, hardState } = await again.open()
  t.equal(entries.at(-1)?.term, 1, 'the crash came between the two')
  t.equal(hardState.commit, 1, 'what was to be replaced is not committed')
  await again.close()
})

t.test('a segment is kept until the next one has what it says of votes and terms', async (t) => {
  const first = open()
  await first.open()
  const hardState = { term: 7, vote: 'b', commit: 0 }
  await first.append(batch([], { hardState }))
  await first.close()
  let onRoll = () => {}
  const rolled = new Promise<void>((resolve) => {
    onRoll = resolve
  })
  const isCheckpoint = (name: string, offset: number) => name === 'spare.seg' && offset === 512
  const files = holding((name, offset) => {
    if (isCheckpoint(name, offset)) onRoll()
    return isCheckpoint(name, offset)
  })
  const wal = open(files)
  await wal.open()
  const isOver = rolled.then(() => true)
  for (let over = false; !over; ) {
    over = await Promise.race([wal.append(batch([], { hardState })).then(() => false), isOver])
  }
  await wal.compactTo(100)
  const again = open()
  t.same((await again.open()).hardState, hardState)
  await again.close()
})

/** What is synced while something runs: the paths, in their order. */
async function syncedBy(run: () => Promise<void>): Promise<string[]> {
  const handle = await openFile(directory, 'r')
  await handle.close()
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  const { sync } = prototype
  const paths: string[] = []
  prototype.sync = function (this: FileHandle) {
    paths.push(readlinkSync(`/proc/self/fd/${this.fd}`))
    return sync.call(this)
  }
  await run().finally(() => {
    prototype.sync = sync
  })
  return paths
}

t.test('a directory that is made for the log or the state is there after a crash', async (t) => {
  const root = await realpath(directory)
  const files = new NodeWalFiles(join(root, 'raft/wal'))
  const list = async () => void (await files.list())
  t.strictSame(await syncedBy(list), [join(root, 'raft'), root])
  t.strictSame(await syncedBy(list), [], 'it was there')
  const state = new LevelStateStorage(join(root, 'raft/state'), {
    ...{ clock: systemClock, dataKey, onTrouble: () => {} },
  })
  const opened = await syncedBy(async () => void (await state.open()))
  t.strictSame(opened, [join(root, 'raft')])
  await state.close()
})

t.test('frames go past the page cache, and each is sealed with a nonce of its own', async (t) => {
  // More than the nonces that are drawn at once, in one segment.
  const wal = new FileWal({ files: new NodeWalFiles(directory), clock: systemClock, dataKey })
  await wal.open()
  t.equal(await writesDirectly(directory), await mayWriteDirectly(directory))
  for (let index = 1; index <= 1_100; index += 1) await wal.append(batch([entry(index, 1)]))
  await wal.close()
  const again = new FileWal({ files: new NodeWalFiles(directory), clock: systemClock, dataKey })
  const { entries } = await again.open()
  t.equal(entries.length, 1_100)
  await again.close()
})

/** Whether the file system has direct writes at all: a tmpfs of an older kernel has none. */
async function mayWriteDirectly(path: string): Promise<boolean> {
  const probe = join(path, 'probe')
  await writeFile(probe, new Uint8Array(SECTOR_BYTES))
  const file = await openFile(probe, constants.O_RDWR | constants.O_DIRECT).catch(() => undefined)
  await file?.close()
  await rm(probe)
  return file !== undefined
}

/** Whether this process has a file of the directory open for direct writes. */
async function writesDirectly(path: string): Promise<boolean> {
  for (const fd of await readdir('/proc/self/fd')) {
    const file = await readlink(`/proc/self/fd/${fd}`).catch(() => '')
    if (!file.startsWith(await realpath(path)) || !file.endsWith('.wal')) continue
    const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8')
    const flags = Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)?.[1] ?? '0', 8)
    if ((flags & constants.O_DIRECT) !== 0) return true
  }
  return false
}

t.test('where a file system has no direct writes, the page cache is used', async (t) => {
  t.equal(process.getuid?.(), 0, 'only root can mount')
  execFileSync('mount', ['-t', 'ramfs', 'none', directory])
  try {
    const probe = join(directory, 'probe')
    await writeFile(probe, new Uint8Array(SECTOR_BYTES))
    const direct = openFile(probe, constants.O_RDWR | constants.O_DIRECT)
    await t.rejects(direct, { code: 'EINVAL' })
    await rm(probe)
    await (await writeFrames(3)).close()
    const again = open()
    const { entries } = await again.open()
    t.same(
      entries.map(({ index }) => index),
      [1, 2, 3],
    )
    await again.close()
  } finally {
    execFileSync('umount', [directory])
  }
})
