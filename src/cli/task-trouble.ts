import type { Task } from '../api/task.ts'
import { isTerminal, isWanted } from '../api/task-state.ts'

/** Whether it ended in another way than it should have. */
export const hasFailed = ({ Status }: Task): boolean =>
  Status.State === 'failed' || Status.State === 'rejected'

/** Whether it is wanted and does not run yet. */
export const isAwaited = ({ DesiredState, Status }: Task): boolean =>
  isWanted(DesiredState) && !isTerminal(Status.State) && Status.State !== 'running'
