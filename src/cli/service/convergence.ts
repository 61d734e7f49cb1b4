import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { compareTaskStates, isTerminal } from '../../api/task-state.ts'

/** One line of the progress display. */
export interface SlotProgress {
  /** `1/3`, or a node's name for a global service. */
  label: string
  state: string
  error: string
}

/** Where a service stands on its way to what its spec says. */
export interface Convergence {
  kind: 'progressing' | 'running' | 'failed' | 'completed'
  /** What is up, e.g. `2 out of 3 tasks`. */
  summary: string
  slots: SlotProgress[]
  /** Why it failed, or why it waits. */
  message: string
}

/** The newest task of each slot (or node) that is wanted or was last. */
const newestBySlot = (tasks: readonly Task[]): Map<string, Task> => {
  const newest = new Map<string, Task>()
  for (const task of tasks) {
    const key = task.Slot === undefined ? task.NodeID : String(task.Slot)
    const other = newest.get(key)
    const order =
      other &&
      (compareTaskStates(other.DesiredState, task.DesiredState) ||
        other.CreatedAt.localeCompare(task.CreatedAt) * -1)
    if (!other || (order as number) > 0) newest.set(key, task)
  }
  return newest
}

const eligibleNodes = (nodes: readonly Node[]): Node[] =>
  nodes.filter((node) => node.Spec.Availability === 'active' && node.Status.State !== 'down')

/** Tasks that can't come back: ended, and no other of the slot is wanted. */
const hasGivenUp = (slots: Iterable<Task>): Task | undefined => {
  for (const task of slots) {
    if (isTerminal(task.Status.State) && compareTaskStates(task.DesiredState, 'running') > 0) {
      return task
    }
  }
  return undefined
}

const updateOutcome = (service: Service): Pick<Convergence, 'kind' | 'message'> | undefined => {
  const status = service.UpdateStatus
  switch (status?.State) {
    case 'paused':
      return { kind: 'failed', message: `service update paused: ${status.Message ?? ''}` }
    case 'rollback_paused':
      return { kind: 'failed', message: `service rollback paused: ${status.Message ?? ''}` }
    case 'updating':
    case 'rollback_started':
      return { kind: 'progressing', message: status.Message ?? '' }
    default:
      return undefined
  }
}

const isJob = (service: Service): boolean =>
  service.Spec.Mode?.ReplicatedJob !== undefined || service.Spec.Mode?.GlobalJob !== undefined

const wantedCount = (
  service: Service,
  nodes: readonly Node[],
  tasks: Map<string, Task>,
): number => {
  const mode = service.Spec.Mode
  if (mode?.Global || mode?.GlobalJob) {
    const eligible = new Set(eligibleNodes(nodes).map((node) => node.ID))
    return [...tasks.values()].filter((task) => eligible.has(task.NodeID)).length
  }
  return mode?.ReplicatedJob?.TotalCompletions ?? mode?.Replicated?.Replicas ?? 1
}

/**
 * How far a service is, from one look at it. Pure: the caller looks again and again and decides how long `running` must last.
 * `tasks` are those made from the present spec.
 */
export const convergence = (
  service: Service,
  tasks: readonly Task[],
  nodes: readonly Node[],
): Convergence => {
  const names = new Map(nodes.map((node) => [node.ID, node.Description.Hostname]))
  const newest = newestBySlot(tasks)
  const wanted = wantedCount(service, nodes, newest)
  const goal = isJob(service) ? 'complete' : 'running'
  const done = [...newest.values()].filter((task) => task.Status.State === goal).length
  const slots = [...newest]
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([key, task]) => ({
      label: task.Slot === undefined ? (names.get(key) ?? key) : `${key}/${wanted}`,
      state: task.Status.State,
      error: task.Status.Err || (task.Status.State === 'pending' ? task.Status.Message : ''),
    }))
  const summary = `${done} out of ${wanted} tasks`
  const update = updateOutcome(service)
  if (update) return { ...update, summary, slots }
  const lost = isJob(service) ? undefined : hasGivenUp(newest.values())
  if (lost) {
    const message = `task ${lost.ID} ended and is not restarted: ${lost.Status.Err || lost.Status.Message}`
    return { kind: 'failed', summary, slots, message }
  }
  const reached =
    done >= wanted && (wanted > 0 || service.Spec.Mode?.Global === undefined || newest.size === 0)
  if (!reached)
    return { kind: 'progressing', summary, slots, message: slots.find((s) => s.error)?.error ?? '' }
  return { kind: isJob(service) ? 'completed' : 'running', summary, slots, message: '' }
}
