import type { Wal, WalBatch, WalContents } from '../../../src/raft/wal-port.ts'
import { LogImage } from './log-image.ts'
import type { ManagerChecker } from './manager-checker.ts'

/** What a manager's log was given, over all of its lives: the yardstick for what it gives back. */
export class LogRecord {
  /** What is certainly on disk. */
  durable = new LogImage()
  /** With what is on its way. */
  latest = new LogImage()
  /** Given and not acknowledged, in order. */
  pending: WalBatch[] = []

  wipe(): void {
    this.durable = new LogImage()
    this.latest = new LogImage()
    this.pending = []
  }
}

/** Passes everything on to a real log, and checks what it is given, when it says that it is durable, and what a start gets back. */
export class ObservedWal implements Wal {
  readonly #inner: Wal
  readonly #record: LogRecord
  readonly #checker: ManagerChecker
  readonly #id: string
  readonly #isAlive: () => boolean

  constructor(
    inner: Wal,
    deps: { id: string; record: LogRecord; checker: ManagerChecker; isAlive: () => boolean },
  ) {
    this.#inner = inner
    this.#record = deps.record
    this.#checker = deps.checker
    this.#id = deps.id
    this.#isAlive = deps.isAlive
  }

  get roomError(): Wal['roomError'] {
    return this.#inner.roomError
  }

  get syncCount(): number {
    return this.#inner.syncCount
  }

  async open(): Promise<WalContents> {
    const contents = await this.#inner.open()
    const found = this.#candidates().find((image) => image.matches(contents))
    if (found === undefined) {
      const { hardState, base, entries } = contents
      const read = `term ${hardState.term} vote ${hardState.vote} commit ${hardState.commit} base ${base.index} last ${base.index + entries.length}`
      throw this.#checker.fail(
        `the log of ${this.#id} was ${this.#record.durable.describe()} and ${this.#record.pending.length} more; it gives back ${read}`,
      )
    }
    this.#record.durable = found
    this.#record.latest = new LogImage(found)
    this.#record.pending = []
    return contents
  }

  async append(batch: WalBatch): Promise<void> {
    const record = this.#record
    if (this.#isAlive()) {
      this.#checker.onAppend(this.#id, record.latest, batch)
      record.pending.push(batch)
      this.#checker.onLinks(
        this.#id,
        record.latest.apply(batch, (at) => this.#checker.chainOf(at)),
      )
    }
    await this.#inner.append(batch)
    if (!this.#isAlive()) return
    if (record.pending.shift() !== batch) {
      throw this.#checker.fail(`${this.#id} acknowledged batches out of order`)
    }
    record.durable.apply(batch, (at) => this.#checker.chainOf(at))
    this.#checker.onDurable(this.#id, record.durable.hardState)
  }

  async compactTo(index: number): Promise<void> {
    this.#record.durable.trim(index)
    this.#record.latest.trim(index)
    await this.#inner.compactTo(index)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** What may be on disk: all that was acknowledged, and of what came after any first part. */
  #candidates(): LogImage[] {
    const { durable, pending } = this.#record
    const chainOf = (at: { index: number; term: number }) => this.#checker.chainOf(at)
    const images = [durable]
    for (const { hardState, reset, entries } of pending) {
      const parts = [
        { hardState, reset: null, entries: [] },
        { hardState: null, reset, entries: [] },
        { hardState: null, reset: null, entries },
      ]
      for (const part of parts) {
        const image = new LogImage(images.at(-1))
        image.apply(part, chainOf)
        images.push(image)
      }
    }
    return images
  }
}
