import { readFile, rm } from 'node:fs/promises'
import type { Clock } from '../api/clock.ts'
import type { Log } from '../api/log.ts'
import type { OverlayView } from '../api/overlay-view.ts'
import { replaceFile } from './durable-file.ts'

/** Version of the file's format. */
const FORMAT = 1
/** Milliseconds between two writes: a lost one costs nothing, managers send the view again. */
const WRITE_INTERVAL_MS = 5000

/** The parts of a view, in the file as arrays. */
const PARTS = ['nodes', 'networks', 'services', 'endpoints'] as const

/**
 * The last view on disk: after a restart without a manager in reach the node goes on with names, routes and rules of before. Holds no secrets.
 */
export class StoredView {
  readonly #clock: Clock
  readonly #log: Log
  readonly #path: string
  #pending: OverlayView | null = null
  #cancelWrite: (() => void) | null = null
  #writing: Promise<void> = Promise.resolve()

  constructor(deps: { clock: Clock; log: Log }, options: { path: string }) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#path = options.path
  }

  /** Null when there is none that can be read: then the managers' is waited for. */
  async load(): Promise<OverlayView | null> {
    try {
      const stored = JSON.parse(await readFile(this.#path, 'utf8')) as Record<string, unknown>
      if (stored.format !== FORMAT) return null
      const maps = PARTS.map((part) => [part, new Map(stored[part] as [string, unknown][])])
      return Object.fromEntries(maps) as OverlayView
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') {
        this.#log.warn(
          { path: this.#path, error: (error as Error).message },
          'overlay view: unread',
        )
      }
      return null
    }
  }

  /** Writes soon; the last view of several wins. */
  save(view: OverlayView): void {
    this.#pending = view
    this.#cancelWrite ??= this.#clock.schedule(WRITE_INTERVAL_MS, () => {
      this.#cancelWrite = null
      void this.flush()
    })
  }

  /** Writes now what waits. */
  flush(): Promise<void> {
    this.#cancelWrite?.()
    this.#cancelWrite = null
    const view = this.#pending
    this.#pending = null
    if (view !== null) this.#writing = this.#writing.then(() => this.#write(view))
    return this.#writing
  }

  /** The node left: forgets it. */
  async remove(): Promise<void> {
    this.#pending = null
    await this.flush()
    await rm(this.#path, { force: true })
  }

  async #write(view: OverlayView): Promise<void> {
    const parts = PARTS.map((part) => [part, [...view[part]]])
    const text = JSON.stringify({ format: FORMAT, ...Object.fromEntries(parts) })
    try {
      await replaceFile(this.#path, text)
    } catch (error) {
      // A full disk: the node goes on, only a restart without managers would miss the view.
      this.#log.warn({ path: this.#path, error: (error as Error).message }, 'overlay view: unsaved')
    }
  }
}
