import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted, TASK_STATE_ORDER } from '../../api/task-state.ts'

/** An RFC 3339 time in milliseconds since the epoch; 0 when there is none. */
export const timeMs = (text: string | undefined): number =>
  text === undefined || text === '' ? 0 : Date.parse(text)

/** Whether a node's agent was ever told of the task. */
export const isAssigned = (task: Task): boolean =>
  task.NodeID !== '' && TASK_STATE_ORDER[task.Status.State] >= TASK_STATE_ORDER.assigned

/** Whether nothing of the task runs or ever will: it ended, or was given up before a node had it. */
export const hasEnded = (task: Task): boolean =>
  isTerminal(task.Status.State) || (!isWanted(task.DesiredState) && !isAssigned(task))

/** Whether it ended by itself, rather than because it was told to. */
export const endedByItself = (task: Task): boolean => {
  const { State } = task.Status
  return State === 'complete' || State === 'failed' || State === 'rejected'
}

/** Whether what the node last said can still be so: a node that is down or gone runs nothing that we may wait for. */
export const isReachable = (node: Node | undefined): boolean =>
  node !== undefined && node.Status.State !== 'down'

/** Oldest first. Times of one format compare as text. */
export const byCreation = (a: Task, b: Task): number =>
  compareText(a.CreatedAt, b.CreatedAt) ||
  TASK_STATE_ORDER[b.DesiredState] - TASK_STATE_ORDER[a.DesiredState] ||
  compareText(a.ID, b.ID)

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
