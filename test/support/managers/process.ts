import type { Clock as ApiClock } from '../../../src/api/clock.ts'
import type { Clock as RaftClock } from '../../../src/raft/clock.ts'
import type { VirtualClock } from '../raft/virtual-clock.ts'

/** Virtual time 0 as the processes see it, milliseconds since the epoch. */
const EPOCH_MS = Date.parse('2026-01-01T00:00:00.000Z')

export interface ProcessDeps {
  clock: VirtualClock
  random: () => number
  /** Something ran in this process: what it became is to be checked. */
  onTouched: (process: Process) => void
  /** It died in the middle of a call. */
  onKilled: (process: Process) => void
}

export interface ProcessOptions {
  id: string
  /** How fast its timers run: 1 is right. */
  rate: number
  /** What its clock shows beside the right time, milliseconds. */
  offsetMs: number
  /** Probability of dying at each call that leaves it: to a disk, to the network. */
  killAtCall: () => number
}

/** One life of one manager's process. All that enters it or leaves it passes here, so that it can be paused, skewed and killed. */
export class Process {
  readonly id: string
  readonly clock: ApiClock
  readonly raftClock: RaftClock
  readonly #deps: ProcessDeps
  readonly #options: ProcessOptions
  #alive = true
  #pausedUntilMs = 0
  /** What its clock shows beside the right time; may be set while it runs. */
  offsetMs: number

  constructor(deps: ProcessDeps, options: ProcessOptions) {
    this.#deps = deps
    this.#options = options
    this.id = options.id
    this.offsetMs = options.offsetMs
    this.clock = {
      nowMs: () => Math.floor(EPOCH_MS + deps.clock.nowMs * options.rate + this.offsetMs),
      schedule: (delayMs, run) => this.enter(Math.max(0, delayMs) / options.rate, run),
    }
    this.raftClock = {
      after: (delayMs, callback) => this.enter(Math.max(0, delayMs) / options.rate, callback),
      defer: (callback) => void this.enter(0, callback),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  get isPaused(): boolean {
    return this.#pausedUntilMs > this.#deps.clock.nowMs
  }

  /** Runs something in this process after a delay; never, when it died meanwhile; late, when it is paused. */
  enter(delayMs: number, run: () => void): () => void {
    const { clock, onTouched } = this.#deps
    let cancel = () => {}
    const fire = () => {
      if (!this.#alive) return
      const waitMs = this.#pausedUntilMs - clock.nowMs
      if (waitMs > 0) {
        cancel = clock.after(waitMs, fire)
        return
      }
      onTouched(this)
      run()
    }
    cancel = clock.after(delayMs, fire)
    return () => cancel()
  }

  /** Something is about to leave this process, which may die of it. False when it is dead: then it does not happen. */
  leaves(weight = 1): boolean {
    if (!this.#alive) return false
    if (this.#deps.random() >= weight * this.#options.killAtCall()) return true
    this.#deps.onKilled(this)
    return false
  }

  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#deps.clock.nowMs + ms)
  }

  /** Ends a pause; what waited for its end still does. */
  resume(): void {
    this.#pausedUntilMs = 0
  }

  kill(): void {
    this.#alive = false
  }
}
