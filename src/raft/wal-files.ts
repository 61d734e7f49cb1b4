// The few things that the log asks of a file system, on the real one.

import { constants, write } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { SECTOR_BYTES } from './wal-frame.ts'

/** Zeros are written in pieces of this size when a segment is allocated. */
const ZERO_BYTES = 1024 * 1024
const SYNCHRONOUS = constants.O_RDWR | constants.O_DSYNC
/** Address space that is reserved; memory is taken only for the largest frame so far. */
const ALIGNED_BYTES_MAX = 4 * 1024 * 1024
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

/** An open segment. A write that resolved is durable: the file is open for synchronous writes. Writes are whole sectors, and only one is under way at a time over all files of the directory. */
export interface WalFile {
  write(bytes: Uint8Array, offset: number): Promise<void>
  close(): Promise<void>
}

/** The log's directory. Every method that changes a name is durable when it resolves. */
export interface WalFiles {
  /** Names in the directory, which is created if it isn't there. */
  list(): Promise<string[]>
  read(name: string): Promise<Buffer>
  /** Creates a file of zeros, all blocks allocated. Rejects with why there is no room: ENOSPC, or what else the disk says. */
  allocate(name: string, bytes: number): Promise<void>
  open(name: string): Promise<WalFile>
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
}

/** A disk that fills up takes a part of a write and refuses the rest only when it is asked again. */
async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
    if (bytesWritten === 0) throw new Error('the disk took nothing of a write')
    done += bytesWritten
  }
}

/** With a callback: a FileHandle's promise takes longer than the disk's cache does. */
function writeWhole(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, offset, (error, bytesWritten) => {
      if (error !== null) reject(error)
      else if (bytesWritten === bytes.length) resolve()
      else reject(new Error('the disk took only a part of a write'))
    })
  })
}

/**
 * Whether a file can be written past the page cache: that costs the kernel a third less, and no cached page can hide what the disk
 * refused. EINVAL where the file system has no such way, or the disk's sectors are larger than the log's.
 */
async function takesDirectWrites(path: string, aligned: AlignedCopy): Promise<boolean> {
  let file: FileHandle | undefined
  try {
    file = await open(path, SYNCHRONOUS | constants.O_DIRECT)
    await file.read(aligned.of(new Uint8Array(SECTOR_BYTES)), 0, SECTOR_BYTES, 0)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EINVAL') return false
    throw error
  } finally {
    await file?.close()
  }
}

/** Memory that starts at a page, as direct writes need it: that of a buffer that can grow does. */
class AlignedCopy {
  readonly #memory = new ArrayBuffer(0, { maxByteLength: ALIGNED_BYTES_MAX })

  /** The same bytes, until it is asked again. */
  of(bytes: Uint8Array): Uint8Array {
    if (bytes.length > this.#memory.byteLength) this.#memory.resize(bytes.length)
    const copy = new Uint8Array(this.#memory, 0, bytes.length)
    copy.set(bytes)
    return copy
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** The name of a directory is in its parent: for all that were made, from the innermost to the first. */
async function syncParents(innermost: string, first: string): Promise<void> {
  for (let made = innermost; ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === first || made === dirname(made)) return
  }
}

/** The {@link WalFiles} of a directory on disk. */
export class NodeWalFiles implements WalFiles {
  readonly #directory: string
  readonly #aligned = new AlignedCopy()
  /** Known once a file was opened. */
  #isDirect: boolean | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  async list(): Promise<string[]> {
    const made = await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE })
    if (made !== undefined) await syncParents(resolve(this.#directory), resolve(made))
    return readdir(this.#directory)
  }

  read(name: string): Promise<Buffer> {
    return readFile(join(this.#directory, name))
  }

  async allocate(name: string, bytes: number): Promise<void> {
    const path = join(this.#directory, name)
    const file = await open(path, 'w', FILE_MODE)
    try {
      const zeros = Buffer.alloc(Math.min(ZERO_BYTES, bytes))
      // Written, not only reserved: later synchronous writes then change no metadata of the file system.
      for (let at = 0; at < bytes; at += zeros.length) {
        await writeAll(file, zeros.subarray(0, Math.min(zeros.length, bytes - at)), at)
      }
      await file.sync()
    } catch (error) {
      // Why it failed is what counts. What is left takes only room: the next attempt and the next start begin with it anew.
      await unlink(path).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
    await this.#syncDirectory()
  }

  async open(name: string): Promise<WalFile> {
    const path = join(this.#directory, name)
    this.#isDirect ??= await takesDirectWrites(path, this.#aligned)
    const isDirect = this.#isDirect
    const handle = await open(path, isDirect ? SYNCHRONOUS | constants.O_DIRECT : SYNCHRONOUS)
    return {
      write: (bytes, offset) =>
        writeWhole(handle.fd, isDirect ? this.#aligned.of(bytes) : bytes, offset),
      close: () => handle.close(),
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(join(this.#directory, from), join(this.#directory, to))
    await this.#syncDirectory()
  }

  async remove(name: string): Promise<void> {
    await unlink(join(this.#directory, name))
    await this.#syncDirectory()
  }

  #syncDirectory(): Promise<void> {
    return syncDirectory(this.#directory)
  }
}
