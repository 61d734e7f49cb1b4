import { isAttachment } from '../../api/network-attachment.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal } from '../../api/task-state.ts'
import type { Plan } from './operation.ts'

/** Attachments whose container has ended or left its network are deleted: no service keeps them as its history. */
export const planEndedAttachments = (tasks: readonly Task[]): Plan => ({
  operations: tasks
    .filter((task) => isAttachment(task) && isTerminal(task.Status.State))
    .map((task) => ({ kind: 'remove-task', taskId: task.ID })),
})
