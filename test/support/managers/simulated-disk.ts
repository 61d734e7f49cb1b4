// A directory of files on a disk that fails as real ones do: what was not acknowledged may be there, in part, or not.

import type { WalFile, WalFiles } from '../../../src/raft/wal-files.ts'
import { SECTOR_BYTES } from '../../../src/raft/wal-frame.ts'
import type { Process } from './process.ts'
import type { Trace } from './trace.ts'

/** Processes die at the disk more often than elsewhere: there a half-done step is left behind. */
const KILL_WEIGHT = 5

interface StoredFile {
  data: Buffer
  /** Up to here something was written since it got its header. */
  writtenTo: number
}

/** An operation that the disk has not acknowledged; a crash leaves as much of it as chance wants. */
interface Pending {
  readonly tear: () => void
}

export interface DiskDeps {
  random: () => number
  trace: Trace
  /** Milliseconds that one operation takes. */
  latencyMs: () => number
  /** Probability that one operation fails with EIO. */
  ioError: () => number
}

const errnoError = (code: string, what = 'simulated'): Error =>
  Object.assign(new Error(`${code}: ${what}`), { code })

/** One manager's disk, over all of its lives. */
export class SimulatedDisk {
  /** Nothing can be allocated meanwhile (ENOSPC). */
  isFull = false
  /** Bits that turned where recovery must see it. */
  rottenBits = 0
  /** Operations that failed with EIO. */
  ioErrors = 0
  tornWrites = 0
  /** Segments that came into use. */
  rolls = 0
  readonly #id: string
  readonly #deps: DiskDeps
  #files = new Map<string, StoredFile>()
  #pending = new Set<Pending>()
  /** The last frame that was acknowledged: damage to it can't be told from a torn write (docs/design/raft.md, Limits). */
  #lastFrame: { file: StoredFile; offset: number } | undefined

  constructor(id: string, deps: DiskDeps) {
    this.#id = id
    this.#deps = deps
  }

  get fileCount(): number {
    return this.#files.size
  }

  /** The directory as one life of the process sees it. */
  filesOf(process: Process): WalFiles {
    return {
      list: () => this.#do(process, 'list', () => [...this.#files.keys()]),
      read: (name) =>
        this.#do(process, `read ${name}`, () => Buffer.from(this.#file(name, 'read').data)),
      allocate: (name, bytes) => this.#allocate(process, name, bytes),
      open: (name) =>
        this.#do(process, `open ${name}`, () => this.#open(process, name, this.#file(name))),
      rename: (from, to) => {
        const move = () => {
          const file = this.#file(from)
          this.#files.delete(from)
          this.#files.set(to, file)
          if (to.endsWith('.wal')) this.rolls += 1
        }
        return this.#do(process, `rename ${from} ${to}`, move, () => this.#chance(move))
      },
      remove: (name) => {
        const remove = () => void this.#files.delete(name)
        return this.#do(process, `remove ${name}`, remove, () => this.#chance(remove))
      },
    }
  }

  /** The process died: what the disk had not acknowledged is there, in part, or not. */
  crash(): void {
    for (const { tear } of this.#pending) tear()
    this.#pending = new Set()
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    this.#files = new Map()
    this.#pending = new Set()
    this.#lastFrame = undefined
    this.rottenBits = 0
  }

  /** Turns one bit of what recovery reads, before the last frame; false when there is nothing yet that it could be. */
  rot(): boolean {
    const ranges = [...this.#files]
      .filter(([name]) => name.endsWith('.wal'))
      .map(([name, file]) => {
        const isLast = file === this.#lastFrame?.file
        return { name, file, end: isLast ? (this.#lastFrame?.offset ?? 0) : file.writtenTo }
      })
      .filter(({ end }) => end > SECTOR_BYTES)
    // Behind the last frame's segment there may be one that has a header only.
    const range = ranges[Math.floor(this.#deps.random() * ranges.length)]
    if (range === undefined || this.#lastFrame === undefined) return false
    const at = Math.floor(this.#deps.random() * range.end)
    range.file.data[at] = (range.file.data[at] ?? 0) ^ (1 << Math.floor(this.#deps.random() * 8))
    this.rottenBits += 1
    this.#deps.trace.note(`${this.#id} rot ${range.name} ${at}`)
    return true
  }

  #allocate(process: Process, name: string, bytes: number): Promise<void> {
    const create = (length: number) => {
      this.#files.set(name, { data: Buffer.alloc(length), writtenTo: 0 })
    }
    const full = () => {
      if (this.isFull) throw errnoError('ENOSPC')
      create(bytes)
    }
    const part = () => this.#chance(() => create(Math.floor(this.#deps.random() * bytes)))
    return this.#do(process, `allocate ${name}`, full, part)
  }

  #open(process: Process, name: string, file: StoredFile): WalFile {
    return {
      write: (bytes, offset) => {
        const copy = Buffer.from(bytes)
        const isFrame = offset >= SECTOR_BYTES
        const write = () => {
          copy.copy(file.data, offset)
          file.writtenTo = isFrame ? Math.max(file.writtenTo, offset + copy.length) : copy.length
          if (isFrame) this.#lastFrame = { file, offset }
        }
        return this.#do(process, `write ${name} ${offset} ${copy.length}`, write, () =>
          this.#tear(file, copy, offset),
        )
      },
      close: async () => {},
    }
  }

  /** Whole sectors of a write, as many and which ones chance wants: a disk may reorder them. */
  #tear(file: StoredFile, bytes: Buffer, offset: number): void {
    const { random } = this.#deps
    const sectors = Math.ceil(bytes.length / SECTOR_BYTES)
    const kind = Math.floor(random() * 4)
    const prefix = Math.floor(random() * (sectors + 1))
    let kept = 0
    for (let sector = 0; sector < sectors; sector += 1) {
      const isKept = [false, true, sector < prefix, random() < 0.5][kind] ?? false
      if (!isKept) continue
      kept += 1
      const from = sector * SECTOR_BYTES
      bytes.copy(file.data, offset + from, from, from + SECTOR_BYTES)
    }
    if (kept > 0 && kept < sectors) this.tornWrites += 1
    if (offset < SECTOR_BYTES || kept === 0) return
    file.writtenTo = Math.max(file.writtenTo, offset + bytes.length)
    // Whole, it is what recovery ends with.
    if (kept === sectors) this.#lastFrame = { file, offset }
  }

  #chance(run: () => void): void {
    if (this.#deps.random() < 0.5) run()
  }

  #file(name: string, verb = 'open'): StoredFile {
    const file = this.#files.get(name)
    if (file !== undefined) return file
    throw errnoError('ENOENT', `${this.#id}: ${verb} of ${name}`)
  }

  #do<T>(process: Process, what: string, effect: () => T, tear = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!process.alive) return
      const pending = { tear }
      // Dying at this very call leaves a part of it too.
      this.#pending.add(pending)
      if (!process.leaves(KILL_WEIGHT)) return
      const { trace, random, latencyMs, ioError } = this.#deps
      const fails = random() < ioError()
      process.enter(latencyMs(), () => {
        this.#pending.delete(pending)
        trace.note(`${this.#id} disk ${what}${fails ? ' EIO' : ''}`)
        if (fails) {
          this.ioErrors += 1
          tear()
          reject(errnoError('EIO'))
          return
        }
        try {
          resolve(effect())
        } catch (error) {
          reject(error)
        }
      })
    })
  }
}

/** Whether an error comes of a fault of a simulated disk. */
export function isDiskFault(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && (cause.code === 'EIO' || cause.code === 'ENOSPC')) return true
  }
  return false
}
