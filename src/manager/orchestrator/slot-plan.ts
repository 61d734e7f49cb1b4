import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { isDirty, satisfiesPlacement } from './dirty-task.ts'
import { newTask } from './new-task.ts'
import { earliest, type Operation, type Plan } from './operation.ts'
import { delayedUntilMs, restartAtMs, shouldRestart, startableAtMs } from './restart.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { endedByItself, timeMs } from './task-facts.ts'

/** What a slot is to become, and how it stands once that is done. */
export interface SlotPlan extends Plan {
  slot: Slot
  /** Its tasks that are wanted and well, new ones included. */
  active: Task[]
}

/** Whether an update or rollback is on its way or stopped half-way. */
export const isUpdateOpen = (service: Service): boolean => {
  const state = service.UpdateStatus?.State
  return state !== undefined && state !== 'completed' && state !== 'rollback_completed'
}

/** What the service's tasks are for: to run, or to complete. */
export const goalOf = (service: Service): 'running' | 'complete' =>
  isJob(service) ? 'complete' : 'running'

export const isJob = (service: Service): boolean =>
  service.Spec.Mode?.ReplicatedJob !== undefined || service.Spec.Mode?.GlobalJob !== undefined

/** Whether the task was made from the current spec since the service's last update began. */
export const isUpdateTask = (task: Task, service: Service): boolean =>
  service.UpdateStatus?.StartedAt !== undefined &&
  task.Swarmctl.SpecVersion === service.Swarmctl.SpecVersion &&
  timeMs(task.CreatedAt) >= timeMs(service.UpdateStatus.StartedAt)

/** Whether the slot holds any task that is wanted. */
export const isLive = (slot: Slot): boolean => slot.tasks.some((t) => isWanted(t.DesiredState))

/** Whether a slot without wanted tasks stays that way. */
export const isFinished = (slot: Slot, isGlobal: boolean): boolean => {
  const last = slot.tasks.at(-1)
  return last !== undefined && !isLive(slot) && !shouldRestart(last, slot.tasks, isGlobal)
}

/**
 * Restart supervision of one slot that is to hold one task: gives up tasks that ended or can't stay where they are, replaces them by
 * the restart policy, keeps one of several, and lets waiting tasks start.
 */
export const planSlot = (slot: Slot, state: ServiceState): SlotPlan => {
  const operations: Operation[] = []
  const giveUp = (task: Task, reason: string): void => {
    operations.push({ kind: 'set-desired', taskId: task.ID, desired: 'shutdown', reason })
  }
  const lost = new Set<string>()
  const leaving: { task: Task; reason: string }[] = []
  const well: Task[] = []
  for (const task of slot.tasks) {
    if (!isWanted(task.DesiredState)) continue
    const loss = holdsItsTurn(task, slot, state) ? undefined : lossOf(task, state)
    if (loss === undefined) well.push(task)
    else if (loss.kind === 'leaving') leaving.push({ task, reason: loss.reason })
    else {
      lost.add(task.ID)
      giveUp(task, loss.reason)
    }
  }
  const active = keepOne(well, state)
  for (const task of well) {
    if (!active.includes(task)) giveUp(task, 'another task has taken its place')
  }
  const replacement = replacementFor(slot, active, lost, state)
  const isReplaced = active.some(isUp) || (active.length === 0 && replacement === undefined)
  if (isReplaced) for (const { task, reason } of leaving) giveUp(task, reason)
  const starts = planStarts(slot, active, lost, state)
  operations.push(...starts.operations)
  if (replacement !== undefined) {
    active.push(replacement)
    // Its creation is an event of its own: the time to start it is planned then.
    operations.push({ kind: 'create-task', task: replacement })
  }
  return { slot, operations, wakeAtMs: starts.wakeAtMs, active }
}

/**
 * Whether it ended while it waited for its delay, its node being unable to prepare it (no such image): it keeps the slot until it would
 * have started, else its successor, which is prepared at once too, would follow without any delay.
 */
const holdsItsTurn = (task: Task, slot: Slot, state: ServiceState): boolean =>
  delayedUntilMs(task, state.nowMs) > 0 &&
  endedByItself(task) &&
  shouldRestart(task, slot.tasks, slot.seat.slot === undefined)

const isUp = (task: Task): boolean =>
  task.Status.State === 'running' && task.DesiredState === 'running'

/** Lets tasks that wait for a delay or a predecessor start when it is time. */
const planStarts = (
  slot: Slot,
  active: readonly Task[],
  lost: ReadonlySet<string>,
  state: ServiceState,
): Plan => {
  const plan: Plan = { operations: [] }
  for (const task of active) {
    if (task.DesiredState !== 'ready') continue
    const atMs = startableAtMs(task, slot, lost, state)
    if (atMs > 0) {
      plan.wakeAtMs = earliest(plan.wakeAtMs, atMs)
      continue
    }
    const desired = goalOf(state.service)
    const reason = 'its predecessor has ended'
    plan.operations.push({ kind: 'set-desired', taskId: task.ID, desired, reason })
  }
  return plan
}

/** A task for the slot that starts as soon as it may: at once, or after its delay and what runs there now. */
export const successorTask = (
  slot: Slot,
  lost: ReadonlySet<string>,
  state: ServiceState,
  startAtMs: number,
): Task => {
  const task = newTask(state, slot.seat, goalOf(state.service), startAtMs)
  return startableAtMs(task, slot, lost, state) === 0 ? task : { ...task, DesiredState: 'ready' }
}

/** Why a wanted task can't go on where it is; `leaving` may run until its replacement does. */
interface Loss {
  kind: 'lost' | 'leaving'
  reason: string
}

const lossOf = (task: Task, state: ServiceState): Loss | undefined => {
  if (task.DesiredState === 'complete' && task.Status.State === 'complete') return undefined
  const lost = (reason: string): Loss => ({ kind: 'lost', reason })
  if (isTerminal(task.Status.State)) return lost(`ended: ${task.Status.State}`)
  if (task.NodeID === '') return undefined
  const node = state.nodes.get(task.NodeID)
  if (node === undefined) return lost('its node was removed')
  if (node.Status.State === 'down') {
    return state.held.has(node.ID) ? undefined : lost('its node is down')
  }
  // A paused node keeps what runs there, whatever becomes of its labels, as swarmkit's.
  if (node.Spec.Availability === 'pause') return undefined
  const isDrained = node.Spec.Availability === 'drain'
  const isMet = mayStay(task, node, state.service)
  const lack = state.crowded.get(task.ID)
  if (!isDrained && isMet && lack === undefined) return undefined
  const reason = isDrained
    ? 'its node is drained'
    : `its node no longer ${isMet ? `has the ${lack} that it reserves` : 'meets its constraints'}`
  return { kind: mayOverlap(task, state.service) ? 'leaving' : 'lost', reason }
}

/**
 * Where only the constraints changed the task keeps the old ones in its spec, and what counts are the service's (as swarmkit's constraint
 * enforcer has it). A task that meets the old ones alone is dirty: the update replaces it in its turn.
 */
const mayStay = (task: Task, node: Node, service: Service): boolean =>
  satisfiesPlacement(task.Spec, node) || satisfiesPlacement(service.Spec.TaskTemplate, node)

/** Start-first services also move start-first, so that a single replica stays reachable while its node is drained. */
const mayOverlap = (task: Task, service: Service): boolean =>
  service.Spec.UpdateConfig?.Order === 'start-first' && task.Slot !== undefined && isUp(task)

/**
 * Which of several wanted tasks stay: when one that follows the spec runs, it alone (this ends a start-first update); else the best of
 * those that follow it and the best of those that don't.
 */
const keepOne = (tasks: readonly Task[], state: ServiceState): Task[] => {
  if (tasks.length <= 1) return [...tasks]
  const clean = tasks.filter((task) => !isDirty(task, state, state.nodes.get(task.NodeID)))
  const dirty = tasks.filter((task) => !clean.includes(task))
  const best = bestOf(clean)
  const others = best !== undefined && isUp(best) ? undefined : bestOf(dirty)
  return [best, others].filter((task) => task !== undefined)
}

/** A running one before others, then the oldest. */
const bestOf = (tasks: readonly Task[]): Task | undefined =>
  tasks.find((task) => task.Status.State === 'running') ?? tasks[0]

const replacementFor = (
  slot: Slot,
  active: readonly Task[],
  lost: ReadonlySet<string>,
  state: ServiceState,
): Task | undefined => {
  const { service } = state
  const follows = (task: Task): boolean => !isDirty(task, state, state.nodes.get(task.NodeID))
  if (active.some(follows)) return undefined
  // Start-first: the old task still runs, but what was to replace it did not stay.
  const predecessor =
    active.length === 0
      ? slot.tasks.at(-1)
      : slot.tasks.findLast((task) => isUpdateTask(task, service))
  if (predecessor === undefined && active.length > 0) return undefined
  const isGlobal = slot.seat.slot === undefined
  if (predecessor !== undefined && !shouldRestart(predecessor, slot.tasks, isGlobal)) {
    return undefined
  }
  const startAtMs = predecessor === undefined ? 0 : restartAtMs(predecessor, state.nowMs)
  return successorTask(slot, lost, state, startAtMs)
}

/** Whether the slot needs an update: what it holds, or the last it held, does not follow the spec. */
export const isSlotDirty = (plan: SlotPlan, state: ServiceState): boolean => {
  const last = plan.slot.tasks.at(-1)
  const tasks = plan.active.length > 0 || last === undefined ? plan.active : [last]
  return tasks.some((task) => isDirty(task, state, state.nodes.get(task.NodeID)))
}
