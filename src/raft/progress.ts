import { assert } from './assert.ts'

/**
 * How the leader sends to one member: `probe` (one append per answer, until both logs are known to
 * match), `replicate` (pipelined), `snapshot` (nothing until the snapshot arrived or failed).
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

/** Limits of what may be unanswered between the leader and one follower. */
export interface InflightLimits {
  readonly messagesMax: number
  readonly bytesMax: number
}

/** What the leader knows of one member. */
export class Progress {
  /** The highest index known to be durable there. */
  match = 0
  /** The next index to send. */
  next: number
  state: ProgressState = 'probe'
  /** Something came from it since the last quorum check (§6.2). */
  recentActive = false
  /** A snapshot failed and nothing came from it since: the next try waits for that. */
  #snapshotFailed = false

  readonly #limits: InflightLimits
  #inflight: { index: number; bytes: number }[] = []
  #inflightBytes = 0
  #paused = false

  constructor(next: number, limits: InflightLimits) {
    this.next = next
    this.#limits = limits
  }

  get inflightFull(): boolean {
    return (
      this.#inflight.length >= this.#limits.messagesMax ||
      this.#inflightBytes >= this.#limits.bytesMax
    )
  }

  get isPaused(): boolean {
    return this.state === 'snapshot' || this.#paused
  }

  becomeProbe(next: number = this.match + 1): void {
    this.#reset('probe')
    this.next = Math.max(this.match + 1, next)
  }

  becomeReplicate(): void {
    this.#reset('replicate')
    this.next = this.match + 1
  }

  becomeSnapshot(): void {
    this.#reset('snapshot')
  }

  /** Whether it could take a snapshot now: a silent one could not, and one that just could not is not to be flooded. */
  get mayTakeSnapshot(): boolean {
    return this.recentActive && !this.#snapshotFailed
  }

  /** A snapshot did not get there: probe from an index on. */
  onSnapshotFailed(next: number): void {
    this.becomeProbe(next)
    this.#snapshotFailed = true
  }

  /** It lives. */
  onHeard(): void {
    this.recentActive = true
    this.#snapshotFailed = false
  }

  /** An append with these entries goes out. */
  onSent(lastIndex: number, count: number, bytes: number): void {
    assert(this.state !== 'snapshot', 'sent entries while a snapshot is under way')
    if (count === 0) {
      if (this.state === 'replicate') this.#paused = this.inflightFull
      return
    }
    if (this.state === 'probe') {
      this.#paused = true
      return
    }
    this.next = lastIndex + 1
    this.#inflight.push({ index: lastIndex, bytes })
    this.#inflightBytes += bytes
    this.#paused = this.inflightFull
  }

  /** A success came back; false when it says nothing new. */
  onMatched(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.#paused = false
    return true
  }

  /** Everything up to an index was answered, so that more may be sent. */
  freeInflightTo(index: number): void {
    while ((this.#inflight[0]?.index ?? Number.POSITIVE_INFINITY) <= index) {
      this.#inflightBytes -= this.#inflight.shift()?.bytes ?? 0
    }
    this.#paused = this.inflightFull
  }

  /** A rejection came back: go back to the hint; false when it is an old answer. */
  onRejected(rejectedIndex: number, hintIndex: number): boolean {
    // Old, or of a member that lost what it had acknowledged: it must be removed, and not be flooded.
    if (rejectedIndex <= this.match) return false
    if (this.state === 'replicate') {
      this.next = this.match + 1
      return true
    }
    if (this.next - 1 !== rejectedIndex) return false
    this.next = Math.max(Math.min(rejectedIndex, hintIndex + 1), this.match + 1)
    this.#paused = false
    return true
  }

  /** It answers heartbeats, so one more message may be tried even if earlier ones were lost. */
  resume(): void {
    this.#paused = false
  }

  #reset(state: ProgressState): void {
    this.state = state
    this.#paused = false
    this.#inflight = []
    this.#inflightBytes = 0
  }
}
