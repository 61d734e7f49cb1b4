import { TASK_HISTORY_RETENTION_LIMIT } from '../../api/defaults.ts'
import type { Node } from '../../api/node.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import type { Plan } from './operation.ts'
import { restartRulesOf } from './restart.ts'
import { groupSlots, type Slot } from './service-state.ts'
import { endedByItself, hasEnded, isAssigned, timeMs } from './task-facts.ts'

/** After this long on a node that is down a task is given up as `orphaned`, milliseconds (swarmkit: 24 hours). */
export const ORPHAN_AFTER_MS = 24 * 60 * 60_000

/** A slot's last task is never deleted: it tells that the slot has finished. */
const KEPT_MIN = 1

/** Tasks kept per slot; below 0 means all, as Swarm's. */
export const historyLimitOf = (cluster: Cluster | undefined): number =>
  cluster?.Spec.Orchestration?.TaskHistoryRetentionLimit ?? TASK_HISTORY_RETENTION_LIMIT

/**
 * Which of a service's tasks are deleted: those to be removed that have ended or whose node is gone, and of each slot's ended ones the
 * oldest beyond the limit. Those that the restart policy has to count stay in any case.
 */
export const planReap = (
  tasks: readonly Task[],
  nodes: ReadonlyMap<string, Node>,
  historyLimit: number,
): Plan => {
  const removed = tasks.filter(
    (task) => task.DesiredState === 'remove' && (hasEnded(task) || !nodes.has(task.NodeID)),
  )
  const old =
    historyLimit < 0 ? [] : slotsOfRuns(tasks).flatMap((slot) => oldTasks(slot, historyLimit))
  return {
    operations: [...removed, ...old].map((task) => ({ kind: 'remove-task', taskId: task.ID })),
  }
}

/** Each iteration of a job has slots of its own. */
const slotsOfRuns = (tasks: readonly Task[]): Slot[] =>
  [...Map.groupBy(tasks, ({ JobIteration }) => JobIteration?.Index).values()].flatMap((run) => [
    ...groupSlots(run).values(),
  ])

const oldTasks = ({ tasks }: Slot, historyLimit: number): Task[] => {
  const excess = tasks.length - Math.max(KEPT_MIN, historyLimit)
  if (excess <= 0) return []
  const counted = new Set(countedAttempts(tasks))
  const isRemovable = (task: Task): boolean =>
    hasEnded(task) && !isWanted(task.DesiredState) && !counted.has(task)
  return tasks.slice(0, -KEPT_MIN).filter(isRemovable).slice(0, excess)
}

/** The tasks that `shouldRestart` counts for the slot's last spec version, as many as it needs to say no. */
const countedAttempts = (tasks: readonly Task[]): Task[] => {
  const last = tasks.at(-1)
  if (last === undefined) return []
  const { maxAttempts } = restartRulesOf(last.Spec)
  if (maxAttempts === 0) return []
  return tasks
    .filter(
      (task) => task.Swarmctl.SpecVersion === last.Swarmctl.SpecVersion && endedByItself(task),
    )
    .slice(-maxAttempts - 1)
}

/**
 * Tasks that no node will ever report on again: at once when their node was removed, after a day when it is down. One that is replaced and
 * has an address that its service names is given up at once on a node that is down, too: its successor is to have the same one.
 */
export const planOrphans = (
  tasks: readonly Task[],
  nodes: ReadonlyMap<string, Node>,
  nowMs: number,
): Plan => {
  const plan: Plan = { operations: [] }
  for (const task of tasks) {
    if (isTerminal(task.Status.State) || !isAssigned(task)) continue
    const node = nodes.get(task.NodeID)
    if (node !== undefined && node.Status.State !== 'down') continue
    const isDue = node === undefined || isInTheWay(task)
    const dueMs = isDue ? nowMs : timeMs(node.UpdatedAt) + ORPHAN_AFTER_MS
    if (dueMs > nowMs) {
      plan.wakeAtMs = Math.min(plan.wakeAtMs ?? dueMs, dueMs)
      continue
    }
    plan.operations.push({
      kind: 'set-task-status',
      taskId: task.ID,
      status: {
        ...task.Status,
        Timestamp: new Date(nowMs).toISOString(),
        State: 'orphaned',
        Message: orphanReason(task, node),
      },
    })
  }
  return plan
}

const orphanReason = (task: Task, node: Node | undefined): string => {
  if (node === undefined) return 'its node was removed'
  if (isInTheWay(task)) return 'its node is down, and its address is needed elsewhere'
  return 'its node has been down for a day'
}

/** Whether it is to end and holds an address that its service names. */
export const isInTheWay = (task: Task): boolean =>
  !isWanted(task.DesiredState) &&
  (task.Spec.Networks ?? []).some(({ Swarmctl }) => Swarmctl?.IPv4Address !== undefined)
