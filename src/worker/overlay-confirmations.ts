import type { OverlayMessage } from '../api/assignment.ts'
import type { OverlayPort } from './overlay-port.ts'

interface OverlayConfirmationsDeps {
  overlay: Pick<OverlayPort, 'take' | 'held'>
  /** The tables hold everything up to this version of the session. */
  onHeld: (version: number) => Promise<void>
  onFailed: (error: unknown, version: number) => void
}

/**
 * Hands overlay messages to the data plane as they come and confirms the newest that the tables hold. One wait at a time, however many
 * messages come meanwhile: tables that can't be programmed for long hold up neither the session nor the views that may be what helps.
 */
export class OverlayConfirmations {
  readonly #deps: OverlayConfirmationsDeps
  /** The newest version of the session that no wait has begun for. */
  #wanted: number | undefined
  /** Counts sessions: what an ended one asked for is not confirmed to the next. */
  #session = 0
  #isWorking = false

  constructor(deps: OverlayConfirmationsDeps) {
    this.#deps = deps
  }

  push(message: OverlayMessage): void {
    this.#deps.overlay.take(message)
    this.#wanted = message.version
    if (!this.#isWorking) void this.#work()
  }

  /** The session ended: nobody waits for its versions any more. */
  clear(): void {
    this.#wanted = undefined
    this.#session += 1
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let version = this.#wanted; version !== undefined; version = this.#wanted) {
      const session = this.#session
      this.#wanted = undefined
      try {
        await this.#deps.overlay.held()
        if (session === this.#session) await this.#deps.onHeld(version)
      } catch (error) {
        if (session === this.#session) this.#deps.onFailed(error, version)
      }
    }
    this.#isWorking = false
  }
}
