import { z } from 'zod'

/** `Swarmctl.Schedule` of a service's spec: a job that runs again and again. Names and meaning are those of Kubernetes' CronJob. */
export const Schedule = z.object({
  /** Five fields; six with seconds first; or `@daily` and its kin. */
  Cron: z.string(),
  /** Of the IANA database; default UTC, since managers may live in several. */
  TimeZone: z.string().optional(),
  /** What happens to a run that is due while another is under way; default `Allow`. */
  ConcurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).optional(),
  /** Nanoseconds after its time within which a missed run is still started; absent: however late. */
  StartingDeadline: z.number().int().nonnegative().optional(),
  /** No run is started, while those under way go on. */
  Suspend: z.boolean().optional(),
  /** Runs that completed, and such that failed, whose tasks are kept; the last run always is. */
  CompletedHistoryLimit: z.number().int().nonnegative().optional(),
  FailedHistoryLimit: z.number().int().nonnegative().optional(),
})
export type Schedule = z.infer<typeof Schedule>
