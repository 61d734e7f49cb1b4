import type { Clock } from '../api/clock.ts'
import type { TaskStatus } from '../api/task.ts'
import { compareTaskStates, type TaskState } from '../api/task-state.ts'
import { STATUS_COALESCE_MS } from './limits.ts'

/** Whether somebody waits for this state: RUNNING and every end, and what the manager has asked for. */
export const isUrgent = (state: TaskState, desired: TaskState): boolean =>
  compareTaskStates(state, 'running') >= 0 || state === desired

/**
 * Statuses on their way to the manager. What nobody waits for (accepted, preparing, …) is held for a moment, in which a quick task
 * overtakes it: every report costs the managers a write.
 */
export class StatusOutbox {
  readonly #clock: Clock
  #send: ((updates: { taskId: string; status: TaskStatus }[]) => void) | undefined
  #pending = new Map<string, TaskStatus>()
  #cancel: (() => void) | undefined
  #isUrgent = false

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock
  }

  /** A session begins: `send` until `disconnect`. */
  connect(send: (updates: { taskId: string; status: TaskStatus }[]) => void): void {
    this.disconnect()
    this.#send = send
  }

  /** Without a session nothing is kept: the next one begins with everything that the manager does not know. */
  disconnect(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#send = undefined
    this.#pending.clear()
  }

  add(taskId: string, status: TaskStatus, urgent: boolean): void {
    if (this.#send === undefined) return
    this.#pending.set(taskId, status)
    if (this.#cancel !== undefined && (!urgent || this.#isUrgent)) return
    this.#cancel?.()
    this.#isUrgent = urgent
    // Also an urgent one waits for the end of this turn: its neighbours come along.
    this.#cancel = this.#clock.schedule(urgent ? 0 : STATUS_COALESCE_MS, () => this.#flush())
  }

  #flush(): void {
    this.#cancel = undefined
    this.#isUrgent = false
    const updates = [...this.#pending].map(([taskId, status]) => ({ taskId, status }))
    this.#pending.clear()
    if (updates.length > 0) this.#send?.(updates)
  }
}
