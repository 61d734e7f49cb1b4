import type { Clock } from './clock.ts'
import type { Entry } from './entry.ts'
import type { RaftNodeId } from './membership.ts'
import type { AppendRequest } from './message.ts'
import type { WireMessage } from './wire.ts'

/**
 * An append without entries waits at least so long for one that has some, and at most twice as long. Nobody waits for it but readers
 * of followers, who make the leader send something anyway: that takes it along.
 */
const HOLD_MS = 3

/**
 * Appends without entries mostly say how far is committed, and under load the next append says so too: sent at
 * once they would be half of all messages. They may be late or lost as any message may.
 */
export class HeldAppends {
  readonly #clock: Clock
  readonly #send: (message: WireMessage) => void
  readonly #held = new Map<RaftNodeId, AppendRequest>()
  /** Receivers whose append was held when the time began to run: one that came later waits once more. */
  #due = new Set<RaftNodeId>()
  /** The commit index that each was last told. */
  readonly #told = new Map<RaftNodeId, number>()
  #urgentIndex = 0
  #isScheduled = false
  #cancel: () => void = () => {}

  constructor(clock: Clock, send: (message: WireMessage) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Sends a message, after what was held for its receiver, or instead of it when that says nothing more. */
  pass(message: WireMessage): void {
    const isEmpty = message.kind === 'append' && message.entries.length === 0
    if (isEmpty && (this.#told.get(message.to) ?? 0) >= this.#urgentIndex) {
      this.#held.set(message.to, message)
      this.#flushLater()
      return
    }
    const held = this.#held.get(message.to)
    if (held !== undefined) {
      this.#held.delete(message.to)
      this.#due.delete(message.to)
      if (message.kind !== 'append' || message.term !== held.term) this.#transmit(held)
    }
    this.#transmit(message)
  }

  /** Entries came into the log. That a change of members among them is committed everybody is told at once: it takes effect then. */
  onEntries(entries: readonly Entry[]): void {
    for (const { kind, index } of entries) if (kind === 'membership') this.#urgentIndex = index
  }

  stop(): void {
    this.#cancel()
    this.#held.clear()
  }

  #flushLater(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#cancel = this.#clock.after(HOLD_MS, () => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const due = this.#due
    this.#due = new Set()
    for (const [to, message] of this.#held) {
      if (!due.has(to)) {
        this.#due.add(to)
        continue
      }
      this.#held.delete(to)
      this.#transmit(message)
    }
    if (this.#due.size > 0) this.#flushLater()
  }

  #transmit(message: WireMessage): void {
    if (message.kind === 'append') this.#told.set(message.to, message.commit)
    this.#send(message)
  }
}
