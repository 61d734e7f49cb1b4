import type { Clock } from '../api/clock.ts'
import { SwarmctlError, unavailable } from '../api/errors.ts'
import type { RequestOptions } from './connection.ts'
import { REQUESTS_MAX } from './wire.ts'

/** How long a request waits for its answer (swarmkit's client RPC timeout: 20 s). */
export const REQUEST_TIMEOUT_MS = 20_000

interface Pending {
  resolve: (answer: unknown) => void
  reject: (error: Error) => void
}

/** The requests of this side that wait for an answer. */
export class PendingRequests {
  readonly #clock: Clock
  readonly #pending = new Map<number, Pending>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(id: number): boolean {
    return this.#pending.has(id)
  }

  /** Throws UNAVAILABLE when too many wait. */
  checkRoom(): void {
    if (this.#pending.size >= REQUESTS_MAX) {
      throw unavailable(`${REQUESTS_MAX} requests to this node wait for an answer`)
    }
  }

  /** Waits for the answer; `onGiveUp` is called when the caller or the time limit ends the wait first. */
  wait(
    id: number,
    method: string,
    options: RequestOptions,
    onGiveUp: () => void,
  ): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS
    return new Promise((resolve, reject) => {
      const giveUp = (error: Error): void => {
        onGiveUp()
        this.#take(id)?.reject(error)
      }
      const onAbort = (): void => giveUp(aborted(method, options.signal?.reason))
      const cancelTimer = this.#clock.schedule(timeoutMs, () =>
        giveUp(new SwarmctlError('TIMEOUT', `${method} got no answer within ${timeoutMs} ms`)),
      )
      const settle = (): void => {
        cancelTimer()
        options.signal?.removeEventListener('abort', onAbort)
      }
      this.#pending.set(id, {
        resolve: (answer) => {
          settle()
          resolve(answer)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      options.signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  resolve(id: number, answer: unknown): void {
    this.#take(id)?.resolve(answer)
  }

  reject(id: number, error: SwarmctlError): void {
    this.#take(id)?.reject(error)
  }

  rejectAll(error: SwarmctlError): void {
    for (const id of [...this.#pending.keys()]) this.reject(id, error)
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }
}

/** What a caller that gave up gets. */
export const aborted = (method: string, reason: unknown): SwarmctlError =>
  reason instanceof SwarmctlError
    ? reason
    : new SwarmctlError('TIMEOUT', `${method} was given up by its caller`, { cause: reason })
