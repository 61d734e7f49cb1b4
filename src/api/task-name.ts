import type { Task } from './task.ts'

/**
 * A task's name, which its container carries too: `web.3.<task id>` for a replicated service, `web.<node id>.<task id>` for a
 * global one (swarmkit `api/naming/naming.go`).
 */
export const taskName = (task: Task): string =>
  `${task.Swarmctl.ServiceName}.${task.Slot ?? task.NodeID}.${task.ID}`
