import type { FileStore, TaskFile, TaskFiles } from './task-files.ts'

/** Tasks' files as values, for tests and the simulator. */
export class MemoryFiles implements FileStore {
  readonly files = new Map<string, readonly TaskFile[]>()

  async open(): Promise<void> {}

  async write(taskId: string, files: readonly TaskFile[]): Promise<TaskFiles> {
    if (files.length > 0) this.files.set(taskId, files)
    return {
      mounts: files.map(({ target }, index) => ({ source: `/memory/${taskId}/${index}`, target })),
    }
  }

  async remove(taskId: string): Promise<void> {
    this.files.delete(taskId)
  }

  async keepOnly(taskIds: ReadonlySet<string>): Promise<void> {
    for (const taskId of this.files.keys()) if (!taskIds.has(taskId)) this.files.delete(taskId)
  }

  async destroy(): Promise<void> {
    this.files.clear()
  }
}
