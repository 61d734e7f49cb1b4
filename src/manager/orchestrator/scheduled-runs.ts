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

/** A run, and what it needs now. */
interface PlannedRun extends Run {
  isNewest: boolean
  plans: SlotPlan[]
  isUnderWay: boolean
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
  const runs = runsOf(state, newest).map((run): PlannedRun => {
    const isNewest = run.index === newest
    const plans = planOne(run, isNewest, state, planRun)
    return {
      ...run,
      isNewest,
      plans,
      isUnderWay: isUnderWay(plans),
    }
  })
  const isReplaced = (run: PlannedRun): boolean =>
    run.isUnderWay && !run.isNewest && schedule?.ConcurrencyPolicy === 'Replace'
  const old = new Set(oldRuns(runs, schedule))
  const kept = runs.filter((run) => !isReplaced(run) && !old.has(run))
  return {
    // What is to be removed needs nothing else.
    slots: kept.flatMap(({ plans }) => plans),
    operations: [
      ...runs.filter(isReplaced).flatMap((run) => removals(run, 'the next run replaces it')),
      ...[...old].flatMap((run) => removals(run, 'newer runs are kept')),
    ],
  }
}

const removals = ({ tasks }: Run, reason: string): Operation[] =>
  tasks.map((task) => removal(task, reason))

/** Newest first, without those that are about to be removed. The newest may have no task yet; before the first there is none. */
const runsOf = ({ service, tasks }: ServiceState, newest: number): Run[] => {
  const kept = tasks.filter((task) => task.DesiredState !== 'remove')
  const runs = Map.groupBy(kept, (task) => task.JobIteration?.Index ?? 0)
  if (service.JobStatus?.LastExecution !== undefined && !runs.has(newest)) runs.set(newest, [])
  return [...runs].map(([index, own]) => ({ index, tasks: own })).sort((a, b) => b.index - a.index)
}

/**
 * A run goes on as long as the spec is the one that it was started with, the newest also by another one unless it is over. Else only what it has already is
 * supervised, since another number of completions would add tasks to runs that were over.
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
  if (isOfSpec) return planRun(own, slots)
  const supervised = [...slots.values()].map((slot) => planSlot(slot, own))
  return isNewest && isUnderWay(supervised) ? planRun(own, slots) : supervised
}

const isUnderWay = (plans: readonly SlotPlan[]): boolean =>
  plans.some(({ active }) => active.some(isAwaited))

const isAwaited = (task: Task): boolean => task.Status.State !== 'complete'

const isComplete = (run: Run): boolean =>
  [...groupSlots(run.tasks).values()].every(({ tasks }) =>
    tasks.some(({ Status }) => Status.State === 'complete'),
  )

/** Runs that are over, beyond what is kept of each kind; never the newest. `runs` is newest first. */
const oldRuns = (runs: readonly PlannedRun[], schedule: Schedule | undefined): PlannedRun[] => {
  const { completedHistoryLimit, failedHistoryLimit } = SCHEDULE_DEFAULTS
  const ended = runs.filter((run) => !run.isUnderWay)
  const complete = ended.filter(isComplete)
  const failed = ended.filter((run) => !isComplete(run))
  return [
    ...complete.slice(schedule?.CompletedHistoryLimit ?? completedHistoryLimit),
    ...failed.slice(schedule?.FailedHistoryLimit ?? failedHistoryLimit),
  ].filter((run) => !run.isNewest)
}
