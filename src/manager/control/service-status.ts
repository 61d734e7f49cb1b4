import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'

/** The counts of `?status=true`. A task that drains before it stops is not counted as running any more. */
export const serviceStatus = (
  service: Service,
  tasks: readonly Task[],
): NonNullable<Service['ServiceStatus']> => {
  const iteration = service.JobStatus?.JobIteration.Index
  const current = tasks.filter(
    (task) => iteration === undefined || task.JobIteration?.Index === iteration,
  )
  const wanted = current.filter((task) => isWanted(task.DesiredState))
  return {
    RunningTasks: wanted.filter((task) => task.Status.State === 'running').length,
    DesiredTasks: desiredTasks(service, wanted),
    CompletedTasks:
      iteration === undefined
        ? 0
        : current.filter((task) => task.Status.State === 'complete').length,
  }
}

/** A global service wants as many tasks as the orchestrator made for its nodes; of a job's those that have not completed. */
const desiredTasks = (service: Service, wanted: readonly Task[]): number => {
  const mode = service.Spec.Mode
  if (mode?.Replicated !== undefined) return mode.Replicated.Replicas ?? 1
  if (mode?.ReplicatedJob !== undefined) return mode.ReplicatedJob.MaxConcurrent ?? 1
  const isDue = (task: Task) =>
    mode?.GlobalJob === undefined
      ? task.DesiredState === 'running'
      : task.DesiredState === 'complete' && task.Status.State !== 'complete'
  return wanted.filter(isDue).length
}
