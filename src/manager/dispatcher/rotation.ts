import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'

interface Waiting {
  nodeId: string
  /** The overlay version from which on the task is not in rotation; undefined until that is sent. */
  version: number | undefined
  sinceMs: number
}

/** Whether a task has to leave rotation before its container may stop: it is to go, has not ended, and has addresses. */
export const leavesRotation = (task: Task): boolean =>
  !isWanted(task.DesiredState) &&
  !isTerminal(task.Status.State) &&
  (task.NetworksAttachments ?? []).some(({ Addresses }) => Addresses.length > 0)

/**
 * Which tasks wait until every live node's tables are without them (design §8). Pure: the caller tells it versions, acknowledgements
 * and the time, and sends what `release` returns.
 */
export class Rotation {
  readonly #waiting = new Map<string, Waiting>()
  readonly #waitMaxMs: number

  constructor(options: { waitMaxMs: number }) {
    this.#waitMaxMs = options.waitMaxMs
  }

  get size(): number {
    return this.#waiting.size
  }

  /** The task is to go; it waits from the next sent version on. Known tasks keep their place. */
  add(taskId: string, nodeId: string, nowMs: number): void {
    if (!this.#waiting.has(taskId))
      this.#waiting.set(taskId, { nodeId, version: undefined, sinceMs: nowMs })
  }

  remove(taskId: string): void {
    this.#waiting.delete(taskId)
  }

  /** Version `version` holds every task that was added so far as draining or not at all. */
  sent(version: number): void {
    for (const waiting of this.#waiting.values()) waiting.version ??= version
  }

  /**
   * Takes the tasks that may go: `acknowledged` is the lowest version that every live session has applied. Those that waited for the
   * limit go as well: a node that is stuck must not hold up the others. By node id.
   */
  release(acknowledged: number, nowMs: number): Map<string, string[]> {
    const released = new Map<string, string[]>()
    for (const [taskId, { nodeId, version, sinceMs }] of this.#waiting) {
      const isOut = version !== undefined && version <= acknowledged
      const waitedMs = nowMs - sinceMs
      // Below 0: the clock was set back, and nobody knows how long it has waited. Its agent has a limit of its own.
      if (!isOut && waitedMs >= 0 && waitedMs < this.#waitMaxMs) continue
      this.#waiting.delete(taskId)
      released.set(nodeId, [...(released.get(nodeId) ?? []), taskId])
    }
    return released
  }

  clear(): void {
    this.#waiting.clear()
  }
}
