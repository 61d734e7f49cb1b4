import { SCHEDULE_DEFAULTS } from '../../api/schedule.ts'
import type { Schedule } from '../../api/schedule-spec.ts'
import type { Task } from '../../api/task.ts'
import type { Operation } from './operation.ts'
import { removal, type ScalePlan } from './replicated.ts'
import { groupSlots, type ServiceState, type Slot } from './service-state.ts'
import { planSlot, type SlotPlan } from './slot-plan.ts'

/** One run of a scheduled job: an iteration of Swarm's, which stays when the next one starts. */
interface Run {
  index: number
  tasks: Task[]
}

/** A run that nothing of goes on any more. */
interface EndedRun extends Run {
  isComplete: boolean
}

/** Which slots a run of a job has, each with its plan. */
type PlanRun = (state: ServiceState, slots: Map<string, Slot>) => SlotPlan[]

/**
 * The runs of a job with a schedule (`cron.ts` starts them). Nothing runs before the first is due. A run that is over stays as history,
 * as many as the schedule's limits say; one that another replaces goes.
 */
export const planScheduledRuns = (state: ServiceState, planRun: PlanRun): ScalePlan => {
  const { JobStatus, Spec } = state.service
  const schedule = Spec.Swarmctl?.Schedule
  const newest = JobStatus?.JobIteration.Index ?? 0
  const slots: SlotPlan[] = []
  const operations: Operation[] = []
  const ended: EndedRun[] = []
  for (const run of runsOf(state, newest)) {
    const isNewest = run.index === newest
    const plans = planOne(run, isNewest, state, planRun)
    const isUnderWay = plans.some(({ active }) => active.some(isAwaited))
    if (isUnderWay && !isNewest && schedule?.ConcurrencyPolicy === 'Replace') {
      operations.push(...run.tasks.map((task) => removal(task, 'the next run replaces it')))
      continue
    }
    slots.push(...plans)
    if (!isUnderWay) ended.push({ ...run, isComplete: isComplete(run) })
  }
  for (const run of surplusRuns(ended, schedule)) {
    if (run.index === newest) continue
    operations.push(...run.tasks.map((task) => removal(task, 'newer runs are kept')))
  }
  const removed = new Set(operations.map((operation) => 'taskId' in operation && operation.taskId))
  return {
    // What is to be removed needs nothing else.
    slots: slots.filter(({ slot }) => !slot.tasks.some(({ ID }) => removed.has(ID))),
    operations,
  }
}

/** Newest first, without those that are about to be removed. The newest may have no task yet; before the first there is none. */
const runsOf = ({ service, tasks }: ServiceState, newest: number): Run[] => {
  const kept = tasks.filter((task) => task.DesiredState !== 'remove')
  const runs = Map.groupBy(kept, (task) => task.JobIteration?.Index ?? 0)
  if (service.JobStatus?.LastExecution !== undefined && !runs.has(newest)) runs.set(newest, [])
  return [...runs].map(([index, own]) => ({ index, tasks: own })).sort((a, b) => b.index - a.index)
}

/**
 * An older run goes on as long as the spec is the one that it was started with; else only what it has already is supervised, since another number of
 * completions would add tasks to runs that were over.
 */
const planOne = (
  run: Run,
  isNewest: boolean,
  state: ServiceState,
  planRun: PlanRun,
): SlotPlan[] => {
  const slots = groupSlots(run.tasks)
  const { JobStatus, Swarmctl } = state.service
  // New tasks are made for the run of the service that a plan is given.
  const own: ServiceState = {
    ...state,
    service: {
      ...state.service,
      JobStatus: { ...JobStatus, JobIteration: { Index: run.index } },
    },
  }
  const isOfSpec = run.tasks.every((task) => task.Swarmctl.SpecVersion === Swarmctl.SpecVersion)
  return isNewest || isOfSpec
    ? planRun(own, slots)
    : [...slots.values()].map((slot) => planSlot(slot, own))
}

const isAwaited = (task: Task): boolean => task.Status.State !== 'complete'

const isComplete = (run: Run): boolean =>
  [...groupSlots(run.tasks).values()].every(({ tasks }) =>
    tasks.some(({ Status }) => Status.State === 'complete'),
  )

/** Those beyond what is kept of each kind; `ended` is newest first. */
const surplusRuns = (ended: readonly EndedRun[], schedule: Schedule | undefined): EndedRun[] => {
  const { completedHistoryLimit, failedHistoryLimit } = SCHEDULE_DEFAULTS
  const complete = ended.filter((run) => run.isComplete)
  const failed = ended.filter((run) => !run.isComplete)
  return [
    ...complete.slice(schedule?.CompletedHistoryLimit ?? completedHistoryLimit),
    ...failed.slice(schedule?.FailedHistoryLimit ?? failedHistoryLimit),
  ]
}
