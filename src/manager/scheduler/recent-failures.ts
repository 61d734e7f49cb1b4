import type { Task } from '../../api/task.ts'
import { failureKey, isFailure } from './node-info.ts'

/** How long a failed task makes its node the last choice for its service, milliseconds (swarmkit: 5 minutes). */
export const FAILURE_WINDOW_MS = 5 * 60_000
/** Failures that are remembered: beyond them the oldest are forgotten. */
export const FAILURES_KEPT_MAX = 10_000

/** By node id and then by `failureKey`, how many tasks failed there lately. */
export type FailureCounts = ReadonlyMap<string, ReadonlyMap<string, number>>

/**
 * Where tasks failed lately, as this leader saw it. The tasks alone don't tell: of each slot only a few that ended are kept, fewer than make
 * their node the last choice.
 */
export class RecentFailures {
  #failures: { nodeId: string; key: string; atMs: number }[] = []

  note(task: Task, atMs: number): void {
    if (task.NodeID === '' || !isFailure(task)) return
    this.#failures.push({ nodeId: task.NodeID, key: failureKey(task), atMs })
    if (this.#failures.length > FAILURES_KEPT_MAX) this.#failures.shift()
  }

  clear(): void {
    this.#failures = []
  }

  counts(nowMs: number): FailureCounts {
    // One from the future was noted before the clock was set back.
    this.#failures = this.#failures.filter(
      ({ atMs }) => atMs + FAILURE_WINDOW_MS > nowMs && atMs - FAILURE_WINDOW_MS < nowMs,
    )
    const counts = new Map<string, Map<string, number>>()
    for (const { nodeId, key } of this.#failures) {
      const ofNode = counts.get(nodeId) ?? new Map<string, number>()
      counts.set(nodeId, ofNode.set(key, (ofNode.get(key) ?? 0) + 1))
    }
    return counts
  }
}

/** What stored tasks tell of failures: where nobody has watched them, and at the beginning. */
export const failuresOf = (tasks: readonly Task[], nowMs: number): RecentFailures => {
  const failures = new RecentFailures()
  for (const task of tasks) failures.note(task, Date.parse(task.Status.Timestamp) || nowMs)
  return failures
}
