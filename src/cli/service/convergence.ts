import { parseConstraints, unmetConstraint } from '../../api/constraint.ts'
import type { Node } from '../../api/node.ts'
import { ofPlatform } from '../../api/platform.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { compareTaskStates, isTerminal, isWanted } from '../../api/task-state.ts'

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

/** Nodes that a global service runs on: as the orchestrator chooses them. */
const eligibleNodes = (service: Service, nodes: readonly Node[]): Node[] => {
  const constraints = parseConstraints(service.Spec.TaskTemplate.Placement?.Constraints)
  const allowed = nodes.filter((node) => unmetConstraint(constraints, node) === undefined)
  return ofPlatform(service.Spec.TaskTemplate, allowed).filter(
    (node) => node.Spec.Availability === 'active' && node.Status.State === 'ready',
  )
}

/** A task that ended and has no successor. */
const isGivenUp = (task: Task): boolean =>
  isTerminal(task.Status.State) && task.DesiredState === 'shutdown'

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

/** The slots that a service wants to have; for a global one, which nodes. */
const wantedSlots = (service: Service, nodes: readonly Node[]): number | Set<string> => {
  const mode = service.Spec.Mode
  if (mode?.Global || mode?.GlobalJob) {
    return new Set(eligibleNodes(service, nodes).map((node) => node.ID))
  }
  if (mode?.ReplicatedJob) {
    return mode.ReplicatedJob.TotalCompletions ?? mode.ReplicatedJob.MaxConcurrent ?? 1
  }
  return mode?.Replicated?.Replicas ?? 1
}

/** The newest task of each slot that counts: wanted ones, and of those that were given up as many as are missing. */
const countedTasks = (
  newest: ReadonlyMap<string, Task>,
  wanted: number | Set<string>,
): Map<string, Task> => {
  const all = [...newest]
  if (typeof wanted !== 'number') return new Map(all.filter(([nodeId]) => wanted.has(nodeId)))
  const live = all.filter(([, task]) => isWanted(task.DesiredState))
  const given = all.filter(([, task]) => isGivenUp(task))
  return new Map([...live, ...given.slice(0, Math.max(0, wanted - live.length))])
}

const slotLines = (
  tasks: ReadonlyMap<string, Task>,
  wanted: number,
  nodes: readonly Node[],
): SlotProgress[] => {
  const names = new Map(nodes.map((node) => [node.ID, node.Description.Hostname]))
  return [...tasks]
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([key, task]) => ({
      label: task.Slot === undefined ? (names.get(key) ?? key) : `${key}/${wanted}`,
      state: task.Status.State,
      error: task.Status.Err || (task.Status.State === 'pending' ? task.Status.Message : ''),
    }))
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
  const slotsWanted = wantedSlots(service, nodes)
  const wanted = typeof slotsWanted === 'number' ? slotsWanted : slotsWanted.size
  const counted = countedTasks(newestBySlot(ofIteration(service, tasks)), slotsWanted)
  const goal = isJob(service) ? 'complete' : 'running'
  const done = [...counted.values()].filter(
    (task) => isWanted(task.DesiredState) && task.Status.State === goal,
  ).length
  const slots = slotLines(counted, wanted, nodes)
  const summary = `${done} out of ${wanted} tasks`
  const update = isJob(service) ? undefined : updateOutcome(service)
  if (update) return { ...update, summary, slots }
  const lost = [...counted.values()].find(isGivenUp)
  if (lost) {
    const message = `task ${lost.ID} ended and is not restarted: ${lost.Status.Err || lost.Status.Message}`
    return { kind: 'failed', summary, slots, message }
  }
  if (done < wanted) {
    return { kind: 'progressing', summary, slots, message: reasonOf(counted, tasks) }
  }
  return { kind: isJob(service) ? 'completed' : 'running', summary, slots, message: '' }
}

/**
 * What to tell of slots that are not there yet: what their tasks say, else why the last that ended did (its successor has nothing to
 * say before it fails in turn), else what they wait for.
 */
const reasonOf = (counted: ReadonlyMap<string, Task>, all: readonly Task[]): string => {
  const present = [...counted.values()]
  const ended = all
    .filter((task) => isTerminal(task.Status.State) && task.Status.Err)
    .sort((a, b) => b.CreatedAt.localeCompare(a.CreatedAt))
  const waiting = present.filter((task) => task.Status.State === 'pending')
  return (
    present.find((task) => task.Status.Err)?.Status.Err ||
    ended[0]?.Status.Err ||
    waiting[0]?.Status.Message ||
    ''
  )
}

/** Each update of a job is a run of its own. */
const ofIteration = (service: Service, tasks: readonly Task[]): Task[] => {
  const iteration = service.JobStatus?.JobIteration.Index
  return tasks.filter((task) => iteration === undefined || task.JobIteration?.Index === iteration)
}
