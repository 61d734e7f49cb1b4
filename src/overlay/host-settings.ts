import { readFile, rm } from 'node:fs/promises'
import type { Log } from '../api/log.ts'
import { replaceFile } from './durable-file.ts'
import type { Proc } from './proc.ts'

/** What a setting of the host was before we changed it, and what we made of it. */
interface Changed {
  before: string
  ours: string
}

/**
 * Kernel settings of the host itself (those of our own devices go with them): recorded on disk before they are changed, and given back
 * when the node leaves. A setting that someone else changed since is theirs and stays.
 */
export class HostSettings {
  readonly #proc: Proc
  readonly #log: Log
  readonly #path: string | undefined
  #changed: Map<string, Changed> | undefined

  /** `path`: the file of the record; absent: nothing outlives this process. */
  constructor(deps: { proc: Proc; log: Log }, options: { path?: string }) {
    this.#proc = deps.proc
    this.#log = deps.log
    this.#path = options.path
  }

  /** Sets it when it differs. Rejects when the kernel refuses. */
  async set(path: string, value: string): Promise<void> {
    const current = (await this.#proc.read(path))?.trim()
    if (current === value) return
    const changed = await this.#load()
    // What it is now is somebody's newest choice, whatever an earlier record says (a reboot, an administrator).
    if (current !== undefined) changed.set(path, { before: current, ours: value })
    await this.#save(changed)
    await this.#proc.write(path, value)
  }

  /** Those that were changed and not given back, also by an earlier process. */
  async changed(): Promise<string[]> {
    return [...(await this.#load()).keys()]
  }

  /** The node leaves: the newest change first, since later ones may make up for earlier ones. */
  async restore(): Promise<void> {
    for (const [path, { before, ours }] of [...(await this.#load())].reverse()) {
      // A device that is gone took its settings along.
      if ((await this.#proc.read(path))?.trim() !== ours) continue
      await this.#proc.write(path, before).catch((error: Error) => {
        this.#log.warn({ path, before, error: error.message }, 'a kernel setting stays as it is')
      })
    }
    this.#changed = new Map()
    if (this.#path !== undefined) await rm(this.#path, { force: true })
  }

  async #load(): Promise<Map<string, Changed>> {
    if (this.#changed !== undefined) return this.#changed
    this.#changed = new Map()
    if (this.#path === undefined) return this.#changed
    try {
      const stored = JSON.parse(await readFile(this.#path, 'utf8')) as [string, Changed][]
      this.#changed = new Map(stored)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn(
          { path: this.#path, error: (error as Error).message },
          'the record of kernel settings is unread: those changed before stay at leave',
        )
    }
    return this.#changed
  }

  async #save(changed: Map<string, Changed>): Promise<void> {
    if (this.#path === undefined) return
    try {
      await replaceFile(this.#path, JSON.stringify([...changed]))
    } catch (error) {
      // A full disk must not keep the node from its traffic.
      this.#log.warn(
        { path: this.#path, error: (error as Error).message },
        'a kernel setting is changed unrecorded: it stays at leave',
      )
    }
  }
}
