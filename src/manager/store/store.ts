import type { Clock } from '../../api/clock.ts'
import { type ErrorCode, invalid, SwarmctlError, unavailable } from '../../api/errors.ts'
import { encodeTransaction } from './codec.ts'
import { TRANSACTION_BYTES_MAX, TRANSACTION_CHANGES_MAX, UPDATE_ATTEMPTS_MAX } from './limits.ts'
import type { Proposer } from './proposer.ts'
import type { StoreState, TransactionResult, Watcher } from './state.ts'
import { Tx } from './tx.ts'
import type { View } from './view.ts'

/** One of many changes that have nothing to do with each other. */
type Change = (tx: Tx) => void

/** Its place among them. */
interface NumberedChange {
  readonly at: number
  readonly change: Change
}

type OnRefused = (at: number, refusal: SwarmctlError) => void

/** What speaks against a change itself; anything else would as well against every other one now. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'NOT_FOUND',
  'ALREADY_EXISTS',
])

const isRefusal = (thrown: unknown): thrown is SwarmctlError =>
  thrown instanceof SwarmctlError && REFUSALS.has(thrown.code)

/** The cluster's state as managers use it: read a view, change by conditional transactions, watch. */
export class Store {
  readonly #state: StoreState
  readonly #proposer: Proposer
  readonly #clock: Clock

  constructor(deps: { state: StoreState; proposer: Proposer; clock: Clock }) {
    this.#state = deps.state
    this.#proposer = deps.proposer
    this.#clock = deps.clock
  }

  /** The applied state; valid until the caller's next `await`. */
  view(): View {
    return this.#state.view()
  }

  /** Resolves once the view holds every write that was acknowledged before the call. */
  readBarrier(): Promise<void> {
    return this.#proposer.readBarrier()
  }

  /** Calls `run` synchronously after each apply, in order. It must not throw and must not write before it returns. */
  watch(run: Watcher): () => void {
    return this.#state.watch(run)
  }

  /**
   * Commits what `change` writes, all or nothing, and resolves with its result once that is applied here. `change` is synchronous
   * and without effects: it runs anew when another transaction was first. What it throws rejects, with nothing written; it
   * throws twice, the second time on a view that holds all that was acknowledged before: who was replaced as the leader and does
   * not know it yet must not refuse a request by what it remembers.
   * @throws SwarmctlError UNAVAILABLE after UPDATE_ATTEMPTS_MAX runs; INVALID_ARGUMENT when it is larger than TRANSACTION_BYTES_MAX;
   * what `Proposer.propose` throws
   */
  async update<T>(change: (tx: Tx) => T): Promise<T> {
    let isFresh = false
    for (let attempt = 1; attempt <= UPDATE_ATTEMPTS_MAX; attempt++) {
      let run: { value: T; command?: Uint8Array }
      try {
        run = this.#run(change)
      } catch (refusal) {
        if (isFresh) throw refusal
        await this.readBarrier()
        isFresh = true
        continue
      }
      const { value, command } = run
      if (command === undefined) return value
      if (command.length > TRANSACTION_BYTES_MAX) {
        throw invalid(
          `the change is too large: ${command.length} bytes, at most ${TRANSACTION_BYTES_MAX}`,
        )
      }
      const { result } = await this.#proposer.propose(command)
      if ((result as TransactionResult).kind === 'committed') return value
      // It was refused by the state of this moment, which is the view now.
      isFresh = true
    }
    throw unavailable(
      'the object is changed by too many requests at the same time: try again in a moment',
    )
  }

  /**
   * Commits many independent changes in as few transactions as the limits allow, one after the other. Each change is as in `update`.
   * One that is refused keeps no other from being made: `onRefused` is told which one and why, or without it the first refusal is
   * thrown in the end. What is no refusal (no leader, no quorum) ends it at once; the transactions before stay committed.
   */
  async batch(changes: Iterable<Change>, onRefused?: OnRefused): Promise<void> {
    let first: SwarmctlError | undefined
    const tellRefused = (at: number, refusal: SwarmctlError): void => {
      if (onRefused === undefined) first ??= refusal
      else onRefused(at, refusal)
    }
    let chunk: NumberedChange[] = []
    let tx = new Tx(this.view())
    let at = 0
    for (const change of changes) {
      const numbered = { at, change }
      at += 1
      if (this.#fits(tx, change)) {
        chunk.push(numbered)
        continue
      }
      // The transaction without this change was within the limits; the change starts the next one, or is refused alone.
      await this.#commit(chunk, tellRefused)
      chunk = [numbered]
      tx = new Tx(this.view())
      if (this.#fits(tx, change)) continue
      await this.#commit(chunk, tellRefused)
      chunk = []
      tx = new Tx(this.view())
    }
    await this.#commit(chunk, tellRefused)
    if (first !== undefined) throw first
  }

  /** Commits all in one transaction; when that is refused, each in its own. */
  async #commit(chunk: readonly NumberedChange[], onRefused: OnRefused): Promise<void> {
    const [one, ...others] = chunk
    if (one === undefined) return
    try {
      await this.update((tx) => {
        for (const { change } of chunk) change(tx)
      })
    } catch (thrown) {
      if (!isRefusal(thrown)) throw thrown
      if (others.length === 0) onRefused(one.at, thrown)
      else for (const each of chunk) await this.#commit([each], onRefused)
    }
  }

  /** Whether a transaction takes this change, too. If not, the transaction is not to be used any more. */
  #fits(tx: Tx, change: Change): boolean {
    try {
      change(tx)
    } catch (thrown) {
      if (isRefusal(thrown)) return false
      throw thrown
    }
    return !this.#isFull(tx)
  }

  #isFull(tx: Tx): boolean {
    return (
      tx.changeCount > TRANSACTION_CHANGES_MAX ||
      tx.measureBytes() + TRANSACTION_OVERHEAD_BYTES > TRANSACTION_BYTES_MAX
    )
  }

  /** What `change` returns, and its command if it changes anything. Nobody holds the transaction itself while the command is waited for. */
  #run<T>(change: (tx: Tx) => T): { value: T; command?: Uint8Array } {
    const tx = new Tx(this.view())
    const value = change(tx)
    if (tx.changeCount === 0) return { value }
    return { value, command: encodeTransaction(tx.transaction(this.#clock.nowMs())) }
  }
}

/** Expectations, removals and framing of a full transaction: TRANSACTION_CHANGES_MAX times two keys. */
const TRANSACTION_OVERHEAD_BYTES = TRANSACTION_CHANGES_MAX * 128
