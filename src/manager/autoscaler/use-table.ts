import type { Task } from '../../api/task.ts'
import type { NodeUsage, TaskUsage } from '../../api/usage.ts'
import { CLOCK_DRIFT_MAX_MS, FRESH_MS, NEWCOMER_MS, RATE_SPAN_MIN_MS } from './limits.ts'
import type { TaskUse } from './proposal.ts'

/** A reading of a task's counters. */
interface Reading {
  /** By its node's clock, and by ours. */
  nodeAtMs: number
  atMs: number
  cpuTotal: number
}

/** What is remembered of one running task. */
interface Entry {
  /** When it was seen to run first, by us. */
  sinceMs: number
  last?: Reading
  use?: { nanoCpus: number; memoryBytes: number; atMs: number }
}

const MS_PER_SECOND = 1000

/** What tasks use, from the counters that their nodes report one after the other. Holds the tasks that were asked about last. */
export class UseTable {
  readonly #entries = new Map<string, Entry>()

  /** Begins a look: these tasks run, what is known of others is forgotten. */
  watch(taskIds: ReadonlySet<string>, nowMs: number): void {
    for (const id of this.#entries.keys()) if (!taskIds.has(id)) this.#entries.delete(id)
    for (const id of taskIds) {
      if (!this.#entries.has(id)) this.#entries.set(id, { sinceMs: nowMs })
    }
  }

  /** Takes a node's report. What it says of tasks that are not watched is nobody's. */
  record({ AtMs, Tasks }: NodeUsage, nowMs: number): void {
    for (const usage of Tasks) {
      const entry = this.#entries.get(usage.TaskID)
      if (entry !== undefined) this.#read(entry, usage, AtMs, nowMs)
    }
  }

  /** What is known of a wanted task. */
  useOf(task: Task, nowMs: number): TaskUse {
    if (task.Status.State !== 'running') return { kind: 'starting' }
    const entry = this.#entries.get(task.ID)
    // It began to run since the look began.
    if (entry === undefined) return { kind: 'starting' }
    const { use, sinceMs } = entry
    if (use !== undefined && nowMs - use.atMs <= FRESH_MS) {
      return { kind: 'reported', nanoCpus: use.nanoCpus, memoryBytes: use.memoryBytes }
    }
    return { kind: nowMs - sinceMs <= NEWCOMER_MS ? 'starting' : 'unknown' }
  }

  clear(): void {
    this.#entries.clear()
  }

  #read(entry: Entry, usage: TaskUsage, nodeAtMs: number, atMs: number): void {
    const { last } = entry
    // Whoever runs has used some: an Engine that has no cgroups (rootless without systemd) says 0 of all, which is no use to go by.
    if (usage.CPUTotal === 0 && usage.Memory === 0) return
    const reading = { nodeAtMs, atMs, cpuTotal: usage.CPUTotal }
    if (last === undefined || !isSameRun(last, reading)) {
      entry.last = reading
      return
    }
    const spanMs = nodeAtMs - last.nodeAtMs
    if (spanMs < RATE_SPAN_MIN_MS) return
    const nanoCpus = (usage.CPUTotal - last.cpuTotal) / (spanMs / MS_PER_SECOND)
    entry.use = { nanoCpus, memoryBytes: usage.Memory, atMs }
    entry.last = reading
  }
}

/** Whether two readings can be compared: a daemon that was started anew counts its time from 0. */
const isSameRun = (earlier: Reading, later: Reading): boolean => {
  const driftMs = later.nodeAtMs - earlier.nodeAtMs - (later.atMs - earlier.atMs)
  return Math.abs(driftMs) <= CLOCK_DRIFT_MAX_MS && later.cpuTotal >= earlier.cpuTotal
}
