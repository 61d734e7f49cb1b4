import type { ServiceSpec } from '../../api/service-spec.ts'
import { planGlobal } from './global.ts'
import { newSlotsMax, removal, type ScalePlan } from './replicated.ts'
import { planScheduledRuns } from './scheduled-runs.ts'
import { groupSlots, type ServiceState, type Slot } from './service-state.ts'
import { planSlot } from './slot-plan.ts'

/**
 * A replicated or global job: tasks that are to complete. Each update of the service is a new iteration (control counts it in
 * `JobStatus`): the tasks of older ones are removed, and all work is done anew. A job with a schedule has runs in their place.
 */
export const planJob = (state: ServiceState): ScalePlan =>
  state.service.Spec.Swarmctl?.Schedule === undefined
    ? planIterations(state)
    : planScheduledRuns(state, planReplicatedJob)

const planIterations = (state: ServiceState): ScalePlan => {
  const iteration = state.service.JobStatus?.JobIteration.Index ?? 0
  const current = state.tasks.filter((task) => (task.JobIteration?.Index ?? 0) === iteration)
  const operations = state.tasks
    .filter((task) => !current.includes(task) && task.DesiredState !== 'remove')
    .map((task) => removal(task, 'the job was started anew'))
  const slots = groupSlots(current)
  const plan =
    state.service.Spec.Mode?.GlobalJob === undefined
      ? { slots: planReplicatedJob(state, slots), operations: [] }
      : planGlobal(state, slots)
  return { slots: plan.slots, operations: [...operations, ...plan.operations] }
}

/** How many tasks of a replicated job run at a time, and how many are to complete. */
export const jobCounts = (
  job: NonNullable<ServiceSpec['Mode']>['ReplicatedJob'],
): { concurrentMax: number; total: number } => {
  const concurrentMax = job?.MaxConcurrent || 1
  return { concurrentMax, total: job?.TotalCompletions ?? concurrentMax }
}

/** Slots from 0 until the total, at most so many at a time. A slot whose restarts are used up stays failed. */
const planReplicatedJob = (state: ServiceState, slots: Map<string, Slot>): ScalePlan['slots'] => {
  const { concurrentMax, total } = jobCounts(state.service.Spec.Mode?.ReplicatedJob)
  const plans = [...slots.values()].map((slot) => planSlot(slot, state))
  let busyCount = plans.filter((plan) =>
    plan.active.some((task) => task.Status.State !== 'complete'),
  ).length
  const slotsMax = slots.size + newSlotsMax([...slots.values()])
  for (
    let number = 0;
    number < total && busyCount < concurrentMax && plans.length < slotsMax;
    number++
  ) {
    const key = String(number)
    if (slots.has(key)) continue
    plans.push(planSlot({ key, seat: { slot: number }, tasks: [] }, state))
    busyCount++
  }
  return plans
}
