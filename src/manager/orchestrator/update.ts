import type { Service, UpdateStatus } from '../../api/service.ts'
import { withUpdateDefaults } from '../../api/service-defaults.ts'
import type { UpdateConfig } from '../../api/service-spec.ts'
import { isDirty } from './dirty-task.ts'
import { newTask } from './new-task.ts'
import { earliest, type Operation, type Plan } from './operation.ts'
import type { ServiceState } from './service-state.ts'
import {
  isSlotDirty,
  isUpdateOpen,
  isUpdateTask,
  type SlotPlan,
  successorTask,
} from './slot-plan.ts'
import { observeSlot, type SlotProgress, type UpdateProgress } from './update-progress.ts'

const NS_PER_MS = 1_000_000

/** How an update goes, with Docker's defaults. */
export interface UpdateRules {
  /** 0: all at once. */
  parallelism: number
  delayMs: number
  failureAction: 'pause' | 'continue' | 'rollback'
  monitorMs: number
  maxFailureRatio: number
  order: 'stop-first' | 'start-first'
}

export const updateRulesOf = (given: UpdateConfig | undefined): UpdateRules => {
  const config = withUpdateDefaults(given)
  return {
    parallelism: config.Parallelism,
    delayMs: config.Delay / NS_PER_MS,
    failureAction: config.FailureAction,
    monitorMs: config.Monitor / NS_PER_MS,
    maxFailureRatio: config.MaxFailureRatio,
    order: config.Order,
  }
}

/**
 * The rolling updater of one service, after its slots were planned: begins, advances, stops or completes an update or a rollback.
 * `progress` remembers what the stored tasks don't tell; an empty one (a new leader's) is filled from them.
 */
export const planUpdate = (
  state: ServiceState,
  slots: readonly SlotPlan[],
  progress: UpdateProgress,
): Plan => {
  const { service } = state
  const status = service.UpdateStatus
  if (status?.State === 'paused' || status?.State === 'rollback_paused') return { operations: [] }
  const dirty = slots.filter((plan) => isSlotDirty(plan, state))
  if (isUpdateOpen(service) && status?.StartedAt !== undefined) {
    return advance(state, slots, dirty, progress)
  }
  const isNeeded = dirty.some((plan) => !holdsUpdateTask(plan, service))
  if (!isNeeded && !isUpdateOpen(service)) return { operations: [] }
  // The update's own tasks are told apart by this time, so it is written before the first of them, in the same transaction.
  const begun = begin(service, state.nowMs)
  const started = { ...state, service: { ...service, UpdateStatus: begun } }
  const { operations, wakeAtMs } = advance(started, slots, dirty, progress)
  return { operations: [statusOperation(service, begun), ...operations], wakeAtMs }
}

/**
 * A completed update goes on when slots turn up that it could not see (a global service's paused node that is active again): with its
 * old beginning, so that it does not try anew what failed.
 */
const begin = (service: Service, nowMs: number): UpdateStatus => {
  const status = service.UpdateStatus
  const StartedAt = status?.StartedAt ?? new Date(nowMs).toISOString()
  return status?.State === 'rollback_started' || status?.State === 'rollback_completed'
    ? { State: 'rollback_started', StartedAt, Message: status.Message ?? 'rollback in progress' }
    : { State: 'updating', StartedAt, Message: 'update in progress' }
}

const statusOperation = (service: Service, status: UpdateStatus): Operation => ({
  kind: 'set-update-status',
  serviceId: service.ID,
  specVersion: service.Swarmctl.SpecVersion,
  status,
})

const advance = (
  state: ServiceState,
  slots: readonly SlotPlan[],
  dirty: readonly SlotPlan[],
  progress: UpdateProgress,
): Plan => {
  const { service, nowMs } = state
  const isRollback = service.UpdateStatus?.State === 'rollback_started'
  const rules = updateRulesOf(isRollback ? service.Spec.RollbackConfig : service.Spec.UpdateConfig)
  const dirtyKeys = new Set(dirty.map((plan) => plan.slot.key))
  const waiting = dirty.filter((plan) => !holdsUpdateTask(plan, service))
  const begun = observe(state, slots, dirtyKeys, rules, progress)
  const stop = planFailure(state, begun, waiting.length + begun.length, rules)
  if (stop !== undefined) return { operations: [stop] }

  let wakeAtMs: number | undefined
  let busyCount = 0
  for (const { settledAtMs } of begun) {
    const freeAtMs = settledAtMs === undefined ? Infinity : settledAtMs + rules.delayMs
    if (freeAtMs <= nowMs) continue
    busyCount++
    if (waiting.length > 0 && Number.isFinite(freeAtMs)) wakeAtMs = earliest(wakeAtMs, freeAtMs)
  }
  if (waiting.length > 0) {
    const freeCount =
      rules.parallelism === 0 ? waiting.length : Math.max(0, rules.parallelism - busyCount)
    const next = inUpdateOrder(waiting).slice(0, freeCount)
    return { operations: next.flatMap((plan) => replaceTasks(plan, state, rules)), wakeAtMs }
  }
  if (begun.some((slot) => slot.settledAtMs === undefined)) return { operations: [] }
  const monitoredUntilMs = Math.max(
    0,
    ...begun.map((slot) => (slot.settledAtMs ?? 0) + rules.monitorMs),
  )
  if (monitoredUntilMs > nowMs) return { operations: [], wakeAtMs: monitoredUntilMs }
  return { operations: [complete(service, isRollback, nowMs)] }
}

/** The slots that this update has begun with. */
const observe = (
  state: ServiceState,
  slots: readonly SlotPlan[],
  dirtyKeys: ReadonlySet<string>,
  rules: UpdateRules,
  progress: UpdateProgress,
): SlotProgress[] => {
  progress.reset(state.service)
  const begun: SlotProgress[] = []
  for (const plan of slots) {
    if (!holdsUpdateTask(plan, state.service)) continue
    const { key, tasks } = plan.slot
    // A slot that a scale-up added has nothing that was updated.
    const wasUpdated =
      progress.slots.has(key) ||
      dirtyKeys.has(key) ||
      tasks.some((task) => isDirty(task, state, undefined))
    if (wasUpdated) begun.push(observeSlot(progress, plan, state, rules.monitorMs))
  }
  return begun
}

const holdsUpdateTask = (plan: SlotPlan, service: Service): boolean =>
  plan.active.some((task) => isUpdateTask(task, service)) ||
  plan.slot.tasks.some((task) => isUpdateTask(task, service))

/** What too many failures lead to. */
const planFailure = (
  state: ServiceState,
  begun: readonly SlotProgress[],
  total: number,
  rules: UpdateRules,
): Operation | undefined => {
  const failed = begun.filter((slot) => slot.isFailed)
  const last = failed.at(-1)
  if (last === undefined || failed.length / total <= rules.maxFailureRatio) return undefined
  const { service } = state
  const isRollback = service.UpdateStatus?.State === 'rollback_started'
  const cause = `due to failure or early termination of task ${last.taskId}`
  if (rules.failureAction === 'continue') return undefined
  if (rules.failureAction === 'rollback' && !isRollback && service.PreviousSpec !== undefined) {
    return {
      kind: 'roll-back',
      serviceId: service.ID,
      specVersion: service.Swarmctl.SpecVersion,
      status: {
        State: 'rollback_started',
        StartedAt: new Date(state.nowMs).toISOString(),
        Message: `update rolled back ${cause}`,
      },
    }
  }
  return statusOperation(service, {
    ...service.UpdateStatus,
    State: isRollback ? 'rollback_paused' : 'paused',
    Message: `${isRollback ? 'rollback' : 'update'} paused ${cause}`,
  })
}

const complete = (service: Service, isRollback: boolean, nowMs: number): Operation =>
  statusOperation(service, {
    ...service.UpdateStatus,
    State: isRollback ? 'rollback_completed' : 'completed',
    CompletedAt: new Date(nowMs).toISOString(),
    Message: isRollback ? 'rollback completed' : 'update completed',
  })

/** Slots where nothing runs first: nobody misses them. */
const inUpdateOrder = (plans: readonly SlotPlan[]): SlotPlan[] => {
  const runs = (plan: SlotPlan): number =>
    Number(plan.active.some((task) => task.Status.State === 'running'))
  return [...plans].sort((a, b) => runs(a) - runs(b))
}

/** Stop-first: the old task is told to stop and the new one waits for its end. Start-first: the new one starts beside it. */
const replaceTasks = (plan: SlotPlan, state: ServiceState, rules: UpdateRules): Operation[] => {
  switch (rules.order) {
    case 'start-first':
      return [{ kind: 'create-task', task: newTask(state, plan.slot.seat, 'running') }]
    case 'stop-first': {
      const lost = new Set(plan.slot.tasks.map((task) => task.ID))
      const task = successorTask(plan.slot, lost, state, 0)
      const shutdowns = plan.active.map(
        (old): Operation => ({
          kind: 'set-desired',
          taskId: old.ID,
          desired: 'shutdown',
          reason: `replaced by ${task.ID}`,
        }),
      )
      return [...shutdowns, { kind: 'create-task', task }]
    }
    default:
      return rules.order satisfies never
  }
}
