import { planCron } from './cron.ts'
import { planGlobal } from './global.ts'
import { planJob } from './job.ts'
import { joinPlans, type Plan } from './operation.ts'
import { planReplicated, removal, type ScalePlan } from './replicated.ts'
import { groupSlots, type ServiceState } from './service-state.ts'
import { isJob } from './slot-plan.ts'
import { planUpdate } from './update.ts'
import type { UpdateProgress } from './update-progress.ts'

/** All that one service needs now: its scale, restarts and update. */
export const planService = (state: ServiceState, progress: UpdateProgress): Plan => {
  const { service } = state
  const scale = planScale(state)
  // A job's update is a new iteration, not a rolling update.
  if (isJob(service)) {
    const active = scale.slots.flatMap((slot) => slot.active)
    const cron = planCron(service, active, state.nowMs)
    return joinPlans([{ operations: scale.operations }, ...scale.slots, cron])
  }
  const update = planUpdate(state, scale.slots, progress)
  return joinPlans([{ operations: scale.operations }, ...scale.slots, update])
}

/** Tasks of a service that is gone. */
export const planRemoved = (tasks: ServiceState['tasks']): Plan => ({
  operations: tasks
    .filter((task) => task.DesiredState !== 'remove')
    .map((task) => removal(task, 'its service was removed')),
})

const planScale = (state: ServiceState): ScalePlan => {
  if (isJob(state.service)) return planJob(state)
  const slots = groupSlots(state.tasks)
  return state.service.Spec.Mode?.Global === undefined
    ? planReplicated(state, slots)
    : planGlobal(state, slots)
}
