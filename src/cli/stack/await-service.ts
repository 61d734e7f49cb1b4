import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext } from '../context.ts'
import { patiently } from '../patiently.ts'
import type { Convergence } from '../service/convergence.ts'
import { type Look, look, POLL_MS, stableMs } from '../service/look.ts'
import { ProgressDisplay } from '../service/progress-display.ts'
import { hasFailed, isAwaited } from '../task-trouble.ts'

/**
 * What is waited for: a first task that runs, all that run (those with a health check are healthy then), all that completed, or all that run
 * and keep running.
 */
export type Goal = 'started' | 'healthy' | 'completed' | 'settled'

/** How a wait ended. */
export type Outcome = { kind: 'reached' } | { kind: 'failed'; reason: string }

/** How it waits. */
export interface AwaitOptions {
  goal: Goal
  quiet: boolean
  /** Milliseconds until it is given up; Infinity: never. */
  limitMs: number
  /** Of several that are waited for at the same time: its name, and whether the wait has lost its sense. */
  among?: { name: string; isOver(): boolean }
}

/** A service that gets no further for so long, while its tasks fail again and again or no node will do, has failed. */
const STUCK_MS = 60_000
/** Fewer failures than this may be those of a service that waits for another. */
const STUCK_FAILURES_MIN = 3

/** Follows one service from look to look. Pure but for what it remembers. */
class Watch {
  readonly #goal: Goal
  readonly #startMs: number
  #runningSinceMs: number | undefined
  #bestCount = -1
  #betterAtMs: number
  /** Ids of tasks that had failed when it got no better any more. */
  #failedBefore = new Set<string>()

  constructor(goal: Goal, startMs: number) {
    this.#goal = goal
    this.#startMs = startMs
    this.#betterAtMs = startMs
  }

  /** Undefined: not yet. */
  judge({ service, tasks, now }: Look, atMs: number, limitMs: number): Outcome | undefined {
    const isRunning = now.kind === 'running' || now.kind === 'completed'
    // Its runs come when they are due, whatever became of the last one.
    const isScheduled = service.Spec.Swarmctl?.Schedule !== undefined
    if (isScheduled && this.#goal !== 'completed') return { kind: 'reached' }
    if (isReached(this.#goal, tasks, now)) return { kind: 'reached' }
    if (now.kind === 'failed') return { kind: 'failed', reason: now.message }
    if (this.#goal === 'settled' && isRunning) {
      this.#runningSinceMs ??= atMs
      if (now.kind === 'completed' || atMs - this.#runningSinceMs >= stableMs(service)) {
        return settled(service)
      }
    } else {
      this.#runningSinceMs = undefined
    }
    return this.#stuck(tasks, now, atMs) ?? this.#late(now, atMs, limitMs)
  }

  #late(now: Convergence, atMs: number, limitMs: number): Outcome | undefined {
    if (atMs - this.#startMs <= limitMs) return undefined
    const why = now.message === '' ? '' : `; ${now.message}`
    return { kind: 'failed', reason: `not there in time: ${now.summary}${why}` }
  }

  #stuck(tasks: readonly Task[], now: Convergence, atMs: number): Outcome | undefined {
    const failed = tasks.filter(hasFailed)
    const count = tasks.filter(({ Status }) => Status.State === 'running').length
    if (count > this.#bestCount) {
      this.#bestCount = count
      this.#betterAtMs = atMs
      this.#failedBefore = new Set(failed.map(({ ID }) => ID))
    }
    if (now.kind !== 'progressing' || atMs - this.#betterAtMs < STUCK_MS) return undefined
    const isFailing =
      failed.filter(({ ID }) => !this.#failedBefore.has(ID)).length >= STUCK_FAILURES_MIN
    if (!isFailing && !isUnplaceable(tasks)) return undefined
    return { kind: 'failed', reason: `it gets no further: ${now.summary}; ${now.message}` }
  }
}

/** Whether all that is missing waits for a node that there is not. */
const isUnplaceable = (tasks: readonly Task[]): boolean => {
  const missing = tasks.filter(isAwaited)
  return (
    missing.length > 0 &&
    missing.every(({ Status }) => Status.State === 'pending' && Boolean(Status.Err))
  )
}

const isReached = (goal: Goal, tasks: readonly Task[], now: Convergence): boolean => {
  switch (goal) {
    case 'started':
      return (
        now.kind === 'running' ||
        now.kind === 'completed' ||
        tasks.some(({ Status }) => Status.State === 'running' || Status.State === 'complete')
      )
    case 'healthy':
      return now.kind === 'running' || now.kind === 'completed'
    case 'completed':
      return (
        now.kind === 'completed' ||
        (tasks.length > 0 && tasks.every(({ Status }) => Status.State === 'complete'))
      )
    case 'settled':
      return false
    default:
      return goal satisfies never
  }
}

/** A rollback that nobody asked for means that the update failed, though the service runs. */
const settled = ({ UpdateStatus }: Service): Outcome =>
  UpdateStatus?.State === 'rollback_completed'
    ? { kind: 'failed', reason: `it was rolled back: ${UpdateStatus.Message ?? ''}` }
    : { kind: 'reached' }

/** Watches a service until it is where it should be, or can't get there. Rejects when the user interrupts. */
export const awaitService = async (
  context: CliContext,
  id: string,
  { goal, quiet, limitMs, among }: AwaitOptions,
): Promise<Outcome> => {
  const display = quiet ? undefined : await displayOf(context, among?.name)
  const watch = new Watch(goal, context.nowMs())
  for (;;) {
    const seen = await patiently(context, () => look(context, id))
    display?.show(seen.now)
    if (among?.isOver()) return { kind: 'failed', reason: 'another service failed before' }
    const outcome = watch.judge(seen, context.nowMs(), limitMs)
    if (outcome?.kind === 'reached')
      display?.end(among ? WORDS[goal] : `service ${seen.service.ID} ${WORDS[goal]}`)
    if (outcome !== undefined) return outcome
    await context.sleep(POLL_MS)
  }
}

type Display = Pick<ProgressDisplay, 'show' | 'end'>

/** Bars for a service that is waited for alone; of several each says its name and what changes. */
const displayOf = async ({ output }: CliContext, name: string | undefined): Promise<Display> => {
  if (name === undefined) return ProgressDisplay.open(output)
  let last = ''
  const say = (text: string): void => {
    if (text !== last) output.write(`${name}: ${text}\n`)
    last = text
  }
  return {
    show: ({ summary, message }) => say(`${summary}${message ? ` (${message})` : ''}`),
    end: say,
  }
}

const WORDS: Readonly<Record<Goal, string>> = {
  started: 'started',
  healthy: 'is healthy',
  completed: 'completed',
  settled: 'converged',
}
