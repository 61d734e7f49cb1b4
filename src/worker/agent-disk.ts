import type { ManagerAddr } from '../api/assignment.ts'
import type { Task, TaskStatus } from '../api/task.ts'

/** What a node remembers of a task: never a secret's content, nor registry credentials. */
export interface TaskRecord {
  version: 1
  /** With an empty `Spec.PullOptions` in place of credentials. */
  task: Task
  /** What the node itself said last. */
  status: TaskStatus
}

/** What a node remembers of its cluster. */
export interface NodeRecord {
  version: 1
  /** Its number in the address plans. */
  index: number
  managers: ManagerAddr[]
  /** How new that list is (`ManagersList`). Absent: not known. */
  asOf?: number
}

/**
 * The agent's memory over restarts. Writes are in the background, the newest of a key wins: after a crash the newest may be missing,
 * which the containers' own labels make good.
 */
export interface AgentDisk {
  load(): Promise<{ node: NodeRecord | undefined; tasks: TaskRecord[] }>
  saveNode(record: NodeRecord): void
  saveTask(record: TaskRecord): void
  removeTask(taskId: string): void
  /** Resolves when what was saved so far is written. */
  flush(): Promise<void>
  /** Forgets everything: the node leaves. */
  clear(): Promise<void>
}

/** A task as it may be written to a disk: that it has registry credentials is remembered, not which. */
export const recordable = (task: Task): Task => {
  const { PullOptions, ...spec } = task.Spec
  return { ...task, Spec: PullOptions?.RegistryAuth ? { ...spec, PullOptions: {} } : spec }
}

/** Whether the task, as the disk remembers it, had credentials that only the managers know. */
export const lacksCredentials = ({ Spec: { PullOptions } }: Task): boolean =>
  PullOptions !== undefined && !PullOptions.RegistryAuth

/** A memory that lasts as long as the object, for tests and the simulator. */
export class MemoryDisk implements AgentDisk {
  node: NodeRecord | undefined
  readonly tasks = new Map<string, TaskRecord>()

  async load(): Promise<{ node: NodeRecord | undefined; tasks: TaskRecord[] }> {
    return { node: this.node, tasks: [...this.tasks.values()] }
  }

  saveNode(record: NodeRecord): void {
    this.node = record
  }

  saveTask(record: TaskRecord): void {
    this.tasks.set(record.task.ID, structuredClone(record))
  }

  removeTask(taskId: string): void {
    this.tasks.delete(taskId)
  }

  async flush(): Promise<void> {}

  async clear(): Promise<void> {
    this.node = undefined
    this.tasks.clear()
  }
}
