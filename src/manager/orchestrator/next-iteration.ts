import type { Service } from '../../api/service.ts'

type JobStatus = NonNullable<Service['JobStatus']>

/** A job's status when it begins to run anew: the orchestrator makes the tasks of the new iteration. */
export const nextIteration = (status: JobStatus | undefined, now: string): JobStatus => ({
  JobIteration: { Index: (status?.JobIteration.Index ?? 0) + 1 },
  LastExecution: now,
})
