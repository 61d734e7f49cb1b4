import { TOLERANCE } from './limits.ts'

/** What is known of the use of one wanted task: measured, not yet since it only starts, or nothing though it should be. */
export type TaskUse =
  | { kind: 'reported'; nanoCpus: number; memoryBytes: number }
  | { kind: 'starting' }
  | { kind: 'unknown' }

/** A target in the unit of what it is held against. */
export interface Target {
  /** Of a task, on average. */
  perTask: number
  /** What a task of which nothing is known is taken to use before others are removed. */
  assumed: number
  /** Averages are cut to whole ones of this, as Kubernetes' are: a little more than a whole number of tasks is noise. */
  step: number
}

/** How many tasks there are to be now, and how many of those that are there are not measured. */
export interface TaskCounts {
  current: number
  starting: number
  unknown: number
}

/** Keeps rounding errors of a quotient from making a whole number another one. */
const EPSILON = 1e-9

/**
 * How many tasks one target calls for (Kubernetes' `replica_calculator.go`), at least one, undefined when no task is known. Who is not known makes a
 * change smaller and never turns it round: before tasks are removed it uses what it may, before some are added nothing.
 */
export const propose = (
  { perTask, assumed, step }: Target,
  known: readonly number[],
  { current, starting, unknown }: TaskCounts,
): number | undefined => {
  if (known.length === 0) return undefined
  const sum = known.reduce((total, use) => total + use, 0)
  const ratioOf = (use: number, tasks: number): number =>
    (Math.floor(use / tasks / step + EPSILON) * step) / perTask
  const ratio = ratioOf(sum, known.length)
  const grows = ratio > 1
  // Those that start are no reason to keep others.
  const tasks = known.length + unknown + (grows ? starting : 0)
  const whole = ratioOf(sum + (grows ? 0 : unknown * assumed), tasks)
  if (Math.abs(whole - 1) <= TOLERANCE + EPSILON || whole > 1 !== grows) return current
  const wanted = Math.max(1, Math.ceil(whole * tasks - EPSILON))
  return grows ? Math.max(wanted, current) : Math.min(wanted, current)
}
