import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { isUpdateTask, type SlotPlan } from './slot-plan.ts'
import { endedByItself, timeMs } from './task-facts.ts'

/** How one slot's first task of the update fares. Times are milliseconds since the epoch by the leader's clock. */
export interface SlotProgress {
  taskId: string
  runningSinceMs?: number
  /** When it was running or had ended: what the update waits for before it goes on. */
  settledAtMs?: number
  endedAtMs?: number
  /** It never ran, or ended within the monitor period. */
  isFailed: boolean
}

/**
 * What the updater has seen of one service's update. It only refines what the store says: when a task began to run, and failures
 * whose tasks are gone. A new leader starts with an empty one: failures that the last leader saw then count from the tasks' history.
 */
export class UpdateProgress {
  #update = ''
  readonly slots = new Map<string, SlotProgress>()

  /** Forgets everything when the service's open update is another one. */
  reset(service: Service): void {
    const update = `${service.Swarmctl.SpecVersion} ${service.UpdateStatus?.StartedAt}`
    if (update === this.#update) return
    this.#update = update
    this.slots.clear()
  }
}

/** Follows the slot's first task of this update; one that was moved away before it settled is followed by its successor. */
export const observeSlot = (
  progress: UpdateProgress,
  plan: SlotPlan,
  { service, nowMs }: { service: Service; nowMs: number },
  monitorMs: number,
): SlotProgress => {
  const { key, tasks } = plan.slot
  const candidates = [...tasks, ...plan.active].filter((task) => isUpdateTask(task, service))
  let slot = progress.slots.get(key)
  let task = candidates.find((candidate) => candidate.ID === slot?.taskId)
  if (slot === undefined || (slot.settledAtMs === undefined && isGivenUp(task))) {
    task = candidates.find((candidate) => !isGivenUp(candidate)) ?? candidates.at(-1)
    slot = { taskId: task?.ID ?? '', isFailed: false }
    progress.slots.set(key, slot)
  }
  if (task !== undefined) observeTask(slot, task, monitorMs, nowMs)
  // Nothing came after it (its node went and the policy asks for no restart): the update does not wait for it.
  if (task !== undefined && isGivenUp(task)) slot.settledAtMs ??= writtenAtMs(task, nowMs)
  return slot
}

const isGivenUp = (task: Task | undefined): boolean =>
  task === undefined || (!isWanted(task.DesiredState) && !endedByItself(task))

/** By the clock of the leader that wrote it, which may have been ahead: an update must not wait for that time to come. */
const writtenAtMs = (task: Task, nowMs: number): number => Math.min(timeMs(task.UpdatedAt), nowMs)

const observeTask = (slot: SlotProgress, task: Task, monitorMs: number, nowMs: number): void => {
  const writtenMs = writtenAtMs(task, nowMs)
  if (task.Status.State === 'running' && slot.runningSinceMs === undefined) {
    slot.runningSinceMs = writtenMs
    slot.settledAtMs ??= writtenMs
  }
  if (!isTerminal(task.Status.State) || slot.endedAtMs !== undefined) return
  slot.endedAtMs = writtenMs
  slot.settledAtMs ??= writtenMs
  const isEarly = slot.runningSinceMs === undefined || writtenMs - slot.runningSinceMs <= monitorMs
  slot.isFailed = endedByItself(task) && isEarly
}
