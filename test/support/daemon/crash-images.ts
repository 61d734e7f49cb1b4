/**
 * What a crash would leave of a data directory, at every place of what a daemon does: before each operation that changes the disk the
 * directory is copied, once as it is (the process dies) and once as a power cut may leave it (what was not synced is gone: content of files,
 * and names of directories).
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
type Call = (...args: never[]) => Promise<unknown>
const fs = require('node:fs') as {
  promises: Record<string, Call>
  write: (...args: unknown[]) => void
}

/** Changes of names. Each is an operation by itself. */
const NAMES = ['rename', 'unlink', 'mkdir', 'writeFile'] as const

export interface CrashImage {
  /** The copy. */
  path: string
  /** `process`: it died here. `power`: the machine did. */
  kind: 'process' | 'power'
  /** What was about to be done. */
  before: string
}

/** A directory whose changes are watched until `stop`; one at a time in a process. */
export class CrashImages {
  readonly images: CrashImage[] = []
  readonly #root: string
  readonly #into: string
  /** Content that is on the disk for certain, by inode. */
  readonly #synced = new Map<number, Buffer>()
  /** The root's names that are on the disk for certain, and their inodes; of directories below it that they are there. */
  #names = new Map<string, number>()
  /** Content by name, where the inode is another file's by now: the disk would give it away only when the name is gone for certain. */
  readonly #kept = new Map<string, Buffer>()
  #restore: () => void = () => {}
  #last = ''

  constructor(root: string, into: string) {
    this.#root = root
    this.#into = into
    mkdirSync(into)
    for (const name of existsSync(root) ? readdirSync(root) : []) this.#sync(join(root, name))
    this.#syncNames()
  }

  start(): void {
    const before: Record<string, Call> = {}
    const watched = (name: string, run: Call): Call => {
      const call = async (path: string, ...rest: never[]) => {
        this.#take(`${name} ${path}`, path)
        return run(...([path, ...rest] as never[]))
      }
      return call as unknown as Call
    }
    for (const name of [...NAMES, 'open', 'rm']) before[name] = fs.promises[name] as Call
    for (const name of NAMES) fs.promises[name] = watched(name, before[name] as Call)
    // What is removed as one goes piece by piece.
    fs.promises.rm = (async (path: string, options: never) => {
      if (path.startsWith(this.#root)) await this.#removePieces(path, before.unlink as Call)
      return (before.rm as Call)(...([path, options] as never[]))
    }) as unknown as Call
    fs.promises.open = (async (path: string, flags: string | number, ...rest: never[]) => {
      const makes = typeof flags === 'string' && /^[wa]/.test(flags)
      if (makes) this.#take(`open ${path}`, path)
      const handle = (await (before.open as Call)(
        ...([path, flags, ...rest] as never[]),
      )) as FileHandle
      if (makes) this.#forget(fstatSync(handle.fd).ino, path)
      if (path.startsWith(this.#root)) this.#watchSync(path, handle)
      return handle
    }) as unknown as Call
    const { write } = fs
    fs.write = (...args: unknown[]) => {
      this.#take(`write to the log (${args[3]} bytes)`, readlinkSync(`/proc/self/fd/${args[0]}`))
      return write(...args)
    }
    syncBuiltinESMExports()
    this.#restore = () => {
      Object.assign(fs.promises, before)
      fs.write = write
      syncBuiltinESMExports()
    }
  }

  /** The last images are those of after all of it. */
  stop(): CrashImage[] {
    this.#take('the end', this.#root)
    this.#restore()
    return this.images
  }

  #watchSync(path: string, handle: FileHandle): void {
    const sync = handle.sync.bind(handle)
    handle.sync = async () => {
      await sync()
      if (!fstatSync(handle.fd).isDirectory())
        this.#synced.set(fstatSync(handle.fd).ino, readFileSync(path))
      else if (path === this.#root) this.#syncNames()
    }
  }

  /** A new file may have the number of one that is gone. */
  #forget(ino: number, path: string): void {
    const bytes = this.#synced.get(ino)
    this.#synced.delete(ino)
    if (bytes === undefined) return
    for (const [name, one] of this.#names)
      if (one === ino && join(this.#root, name) !== path) this.#kept.set(name, bytes)
  }

  #sync(path: string): void {
    const stat = lstatSync(path)
    if (stat.isFile()) this.#synced.set(stat.ino, readFileSync(path))
  }

  #syncNames(): void {
    const names = existsSync(this.#root) ? readdirSync(this.#root) : []
    this.#names = new Map(names.map((name) => [name, lstatSync(join(this.#root, name)).ino]))
    this.#kept.clear()
  }

  async #removePieces(path: string, unlink: Call): Promise<void> {
    if (!existsSync(path)) return
    this.#take(`rm ${path}`, path)
    if (!lstatSync(path).isDirectory()) return
    for (const name of readdirSync(path)) {
      const below = join(path, name)
      if (lstatSync(below).isDirectory()) await this.#removePieces(below, unlink)
      else {
        this.#take(`rm ${below}`, below)
        await unlink(...([below] as never[]))
      }
    }
  }

  #take(before: string, path: string): void {
    if (path !== this.#root && !path.startsWith(`${this.#root}/`)) return
    this.#takeProcess(before)
    this.#takePower(before)
  }

  #image(kind: CrashImage['kind'], before: string): string {
    const path = join(this.#into, String(this.images.length))
    this.images.push({ path, kind, before: before.replace(this.#root, '') })
    return path
  }

  #takeProcess(before: string): void {
    const path = this.#image('process', before)
    spawnSync('cp', ['-a', '--sparse=always', this.#root, path])
  }

  /** Of the log and the state, which have their own tests for this, all that is there. */
  #takePower(before: string): void {
    const files = [...this.#names].map(
      ([name, ino]) => [name, this.#kept.get(name) ?? this.#synced.get(ino)] as const,
    )
    const hasLog = this.#names.has('raft') && existsSync(join(this.#root, 'raft'))
    const said = files.map(([name, bytes]) => `${name}:${bytes?.toString('hex') ?? ''}`).join()
    const log = hasLog ? /log/.test(before) : false
    if (said === this.#last && !log) return
    this.#last = said
    const path = this.#image('power', before)
    mkdirSync(path, { mode: 0o700 })
    for (const [name, bytes] of files) {
      if (name === 'agent') mkdirSync(join(path, name))
      else if (bytes !== undefined) writeFileSync(join(path, name), bytes, { mode: 0o600 })
      // It was made, and its content was never synced.
      else if (existsSync(join(this.#root, name)) && lstatSync(join(this.#root, name)).isFile())
        writeFileSync(join(path, name), '')
    }
    if (hasLog)
      spawnSync('cp', ['-a', '--sparse=always', join(this.#root, 'raft'), dirname(`${path}/raft`)])
  }
}
