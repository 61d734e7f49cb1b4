import { SwarmctlError } from '../../api/errors.ts'
import { withReplicasOf } from '../../api/replicas.ts'
import type { Service, UpdateStatus } from '../../api/service.ts'
import type { Task, TaskStatus } from '../../api/task.ts'
import { compareTaskStates, type TaskState } from '../../api/task-state.ts'
import { requireFreePorts } from '../allocator/free-ports.ts'
import type { Tx } from '../store/tx.ts'
import { nextIteration } from './next-iteration.ts'

/** What the planners decide. Each is safe to apply late or twice: it checks what it finds. */
export type Operation =
  | { kind: 'create-task'; task: Task }
  /** Desired states only ever advance. */
  | { kind: 'set-desired'; taskId: string; desired: TaskState; reason: string }
  | { kind: 'set-task-status'; taskId: string; status: TaskStatus }
  | { kind: 'remove-task'; taskId: string }
  | { kind: 'set-update-status'; serviceId: string; specVersion: number; status: UpdateStatus }
  /** Makes the previous spec the current one. */
  | RollBack
  | StartRun

interface RollBack {
  kind: 'roll-back'
  serviceId: string
  specVersion: number
  /** While it goes on. */
  status: UpdateStatus
}

/** The next run of a scheduled job. Its due time is stored with it, so that no leader starts it twice. */
interface StartRun {
  kind: 'start-run'
  serviceId: string
  specVersion: number
  /** Of the run before it, as the planner saw it. */
  lastDue: string | undefined
  due: string
  now: string
}

/** What a planner hands back. */
export interface Plan {
  operations: Operation[]
  /** Milliseconds since the epoch when time alone changes the plan. */
  wakeAtMs?: number | undefined
}

/** The earlier of two optional times. */
export const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)

/** Several plans as one. */
export const joinPlans = (plans: readonly Plan[]): Plan => ({
  operations: plans.flatMap((plan) => plan.operations),
  wakeAtMs: plans.reduce<number | undefined>((at, plan) => earliest(at, plan.wakeAtMs), undefined),
})

/** One line for logs and tests. */
export const formatOperation = (operation: Operation): string => {
  switch (operation.kind) {
    case 'create-task': {
      const { ID, ServiceID, Slot, NodeID, DesiredState } = operation.task
      return `create task ${ID} of ${ServiceID} (${Slot === undefined ? `node ${NodeID}` : `slot ${Slot}`}), desired ${DesiredState}`
    }
    case 'set-desired':
      return `task ${operation.taskId}: desired ${operation.desired} (${operation.reason})`
    case 'set-task-status':
      return `task ${operation.taskId}: ${operation.status.State} (${operation.status.Message})`
    case 'remove-task':
      return `remove task ${operation.taskId}`
    case 'set-update-status':
      return `service ${operation.serviceId}: ${operation.status.State} (${operation.status.Message})`
    case 'roll-back':
      return `service ${operation.serviceId}: back to the previous spec (${operation.status.Message})`
    case 'start-run':
      return `service ${operation.serviceId}: starts the run that is due at ${operation.due}`
    default:
      return operation satisfies never
  }
}

/** Writes one operation, or nothing when the state has moved on since it was planned. */
export const applyOperation = (tx: Tx, operation: Operation): void => {
  switch (operation.kind) {
    case 'create-task':
      if (tx.get('service', operation.task.ServiceID) !== undefined) tx.put('task', operation.task)
      return
    case 'set-desired': {
      const task = tx.get('task', operation.taskId)
      if (task === undefined || compareTaskStates(operation.desired, task.DesiredState) <= 0) return
      tx.put('task', { ...task, DesiredState: operation.desired })
      return
    }
    case 'set-task-status': {
      const task = tx.get('task', operation.taskId)
      if (task === undefined || compareTaskStates(operation.status.State, task.Status.State) <= 0) {
        return
      }
      tx.put('task', { ...task, Status: operation.status })
      return
    }
    case 'remove-task':
      if (tx.get('task', operation.taskId) !== undefined) tx.remove('task', operation.taskId)
      return
    case 'set-update-status':
      changeService(tx, operation, (service) => ({ ...service, UpdateStatus: operation.status }))
      return
    case 'roll-back':
      rollBackOrPause(tx, operation)
      return
    case 'start-run':
      changeService(tx, operation, (service) => startRun(service, operation))
      return
    default:
      operation satisfies never
  }
}

const changeService = (
  tx: Tx,
  operation: { serviceId: string; specVersion: number },
  change: (service: Service) => Service,
): void => {
  const service = tx.get('service', operation.serviceId)
  if (service?.Swarmctl.SpecVersion !== operation.specVersion) return
  tx.put('service', change(service))
}

/** A previous spec that can't come back, since another service has its port by now, leaves the update paused: its operator decides. */
const rollBackOrPause = (tx: Tx, operation: RollBack): void => {
  try {
    changeService(tx, operation, (service) => {
      const back = rollBack(service, operation.status)
      requireFreePorts(tx, back.Spec, service.ID)
      return back
    })
  } catch (refusal) {
    if (!(refusal instanceof SwarmctlError)) throw refusal
    changeService(tx, operation, (service) => ({
      ...service,
      UpdateStatus: {
        ...service.UpdateStatus,
        State: 'paused',
        Message: `update paused: it can't be rolled back: ${refusal.message}`,
      },
    }))
  }
}

/** As swarmkit: the previous spec and its version come back, and there is no previous one any more. An autoscaler's number of tasks stays. */
const rollBack = (service: Service, status: UpdateStatus): Service => {
  const { PreviousSpec, ...rest } = service
  if (PreviousSpec === undefined) return service
  const { PreviousSpecVersion, SpecVersion, ...ours } = service.Swarmctl
  return {
    ...rest,
    Spec: withReplicasOf(PreviousSpec, service.Spec),
    UpdateStatus: status,
    Swarmctl: { ...ours, SpecVersion: PreviousSpecVersion ?? SpecVersion },
  }
}

const startRun = (service: Service, { lastDue, due, now }: StartRun): Service => {
  const status = service.Swarmctl.ScheduleStatus
  if (status === undefined || status.LastDue !== lastDue) return service
  return {
    ...service,
    JobStatus: nextIteration(service.JobStatus, now),
    Swarmctl: {
      ...service.Swarmctl,
      // One that is ahead, by a clock that was wrong, would let this time be due again.
      ScheduleStatus: { Since: due < status.Since ? due : status.Since, LastDue: due },
    },
  }
}
