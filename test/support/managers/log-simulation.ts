// The log alone on a failing disk: a fraction of a millisecond a step, so that rolling, recycling, filling up and dying meet in every way.

import { createEntry, type Entry } from '../../../src/raft/entry.ts'
import { StoppedError } from '../../../src/raft/errors.ts'
import { FileWal } from '../../../src/raft/wal.ts'
import { seededRandom, VirtualClock } from '../raft/virtual-clock.ts'
import { ManagerChecker } from './manager-checker.ts'
import { LogRecord, ObservedWal } from './observed-wal.ts'
import { Process } from './process.ts'
import { isDiskFault, SimulatedDisk } from './simulated-disk.ts'
import { Trace } from './trace.ts'

const LIVES = 6
const LIFE_MS = 400
const DATA_KEY = new Uint8Array(32).fill(7)
const SEGMENT_BYTES = 8 * 1024
const ENTRY_BYTES_MAX = 700
/** So many wait for one frame at most, which fits a segment. */
const WAITING_MAX = 4

export class LogSimulation {
  readonly trace: Trace
  readonly #random: () => number
  readonly #clock = new VirtualClock()
  readonly #checker = new ManagerChecker()
  readonly #record = new LogRecord()
  readonly #disk: SimulatedDisk
  readonly #latencyMs: number
  readonly #kill: number
  #term = 1

  constructor(seed: number, print?: (line: string) => void) {
    const random = seededRandom(seed)
    const clock = this.#clock
    this.#random = random
    this.trace = new Trace(() => clock.nowMs, print)
    this.#latencyMs = random() * 10
    this.#kill = random() < 0.5 ? 0 : 0.01
    const ioError = random() < 0.3 ? random() * 0.01 : 0
    this.#disk = new SimulatedDisk('log', {
      ...{ random, trace: this.trace },
      // Some operations take much longer than others.
      latencyMs: () => random() ** 4 * 8 * this.#latencyMs,
      ioError: () => ioError,
    })
  }

  /** Runs several lives of one log; throws what first went wrong. Returns how many segments came into use. */
  async run(): Promise<number> {
    for (let life = 1; life <= LIVES; life += 1) {
      this.trace.note(`life ${life}`)
      let isDead = false
      const process = new Process(
        {
          ...{ clock: this.#clock, random: this.#random, onTouched: () => {} },
          onKilled: () => {
            isDead = true
          },
        },
        { id: 'log', rate: 1, offsetMs: 0, killAtCall: () => this.#kill / 5 },
      )
      const end = this.#live(process).then(
        () => {
          isDead = true
        },
        (error) => {
          isDead = true
          if (!isDiskFault(error) && !(error instanceof StoppedError))
            this.#checker.failure ??= error as Error
        },
      )
      const until = this.#clock.nowMs + LIFE_MS * (0.2 + this.#random())
      while (!isDead && this.#clock.step(until)) {
        await new Promise((resolve) => setImmediate(resolve))
      }
      process.kill()
      this.#disk.crash()
      this.#disk.isFull = false
      void end
      if (this.#checker.failure !== undefined) throw this.#checker.failure
    }
    return this.#disk.rolls
  }

  async #live(process: Process): Promise<void> {
    const { raftClock: clock } = process
    const files = this.#disk.filesOf(process)
    const inner = new FileWal({ files, clock, dataKey: DATA_KEY }, { segmentBytes: SEGMENT_BYTES })
    const wal = new ObservedWal(inner, {
      ...{ id: 'log', record: this.#record, checker: this.#checker, isAlive: () => process.alive },
    })
    await wal.open()
    this.#term += 1
    for (;;) {
      const last = this.#record.latest.last.index
      const random = this.#random()
      if (random < 0.1) this.#disk.isFull = !this.#disk.isFull
      if (random < 0.25) {
        const { index } = this.#record.durable.last
        // What isn't compacted may still be replaced; what is, may not.
        wal.compactTo(Math.max(0, index - Math.floor(this.#random() * 6))).catch(() => {})
      }
      const hardState = { term: this.#term, vote: null, commit: this.#record.durable.base.index }
      const written = wal.append({ hardState, reset: null, entries: this.#entriesAfter(last) })
      // Sometimes several wait for one frame.
      if (this.#random() < 0.6 || this.#record.pending.length >= WAITING_MAX) await written
      else written.catch(() => {})
      await new Promise<void>((resolve) => process.enter(this.#random() * 4, resolve))
      if (this.#random() < 0.02) return wal.close()
    }
  }

  #entriesAfter(last: number): Entry[] {
    const count = 1 + Math.floor(this.#random() * 2)
    return Array.from({ length: count }, (_, at) => {
      const data = new Uint8Array(Math.floor(this.#random() * ENTRY_BYTES_MAX)).fill(last & 255)
      return createEntry({ index: last + 1 + at, term: this.#term }, 'command', data)
    })
  }
}
