import { SwarmctlError, unavailable } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { CliContext } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { isSilence, patiently } from '../patiently.ts'
import { nextRunText } from '../schedule-text.ts'
import type { Convergence } from './convergence.ts'
import { type Look, look, POLL_MS, stableMs, waitLimitMs } from './look.ts'
import { ProgressDisplay } from './progress-display.ts'

/** How a verb waits. */
export interface WaitOptions {
  detach?: boolean
  quiet?: boolean
  waitLimit?: string
  /** The way back is what was asked for: that it completes is a success. */
  isRollback?: boolean
  /** What was asked for runs now, whatever schedule the service has. */
  force?: boolean
}

/**
 * Shows progress until the service converged; an update that pauses, tasks that are not restarted, or the wait limit end it with exit
 * code 1. Ctrl-C detaches: the service goes on.
 */
export const waitForService = async (
  context: CliContext,
  id: string,
  options: WaitOptions,
): Promise<void> => {
  if (options.detach) return
  const limitMs = waitLimitMs(options.waitLimit)
  const display = options.quiet ? undefined : await ProgressDisplay.open(context.output)
  const startMs = context.nowMs()
  let runningSinceMs: number | undefined
  for (;;) {
    const { service, now } = await lookPatiently(context, id, startMs + limitMs)
    const atMs = context.nowMs()
    if (service.Spec.Swarmctl?.Schedule !== undefined && options.force !== true) {
      return display?.end(`scheduled, next run: ${nextRunText(service, atMs)}`)
    }
    display?.show(now)
    switch (now.kind) {
      case 'completed':
        return display?.end('job complete')
      case 'failed':
        context.output.writeError(`swarmctl: ${now.message}\n`)
        throw new ExitStatus(1)
      case 'running':
        runningSinceMs ??= atMs
        if (atMs - runningSinceMs >= stableMs(service)) {
          return finish(context, service, display, options)
        }
        break
      case 'progressing':
        runningSinceMs = undefined
        break
      default:
        now.kind satisfies never
    }
    if (atMs - startMs > limitMs) {
      throw new SwarmctlError('TIMEOUT', notConverged(service, now, options.waitLimit as string))
    }
    await context.sleep(POLL_MS)
  }
}

/** A change of the leader meanwhile is nothing that the service's change failed by. */
const lookPatiently = async (context: CliContext, id: string, untilMs: number): Promise<Look> => {
  try {
    return await patiently(context, () => look(context, id), untilMs)
  } catch (error) {
    if (!isSilence(error)) throw error
    throw unavailable(`service ${id} goes on, but is out of sight: ${error.message}`)
  }
}

const notConverged = (service: Service, now: Convergence, limit: string): string =>
  `service ${service.Spec.Name} did not converge within ${limit}: ${now.summary}${now.message ? `; ${now.message}` : ''}. It goes on: see "swarmctl why ${service.Spec.Name}"`

/** A rollback that nobody asked for means that the update failed, though the service runs. */
const finish = (
  context: CliContext,
  service: Service,
  display: ProgressDisplay | undefined,
  { isRollback }: WaitOptions,
): void => {
  display?.end(`service ${service.ID} converged`)
  if (!isRollback && service.UpdateStatus?.State === 'rollback_completed') {
    context.output.writeError(`service rolled back: ${service.UpdateStatus.Message ?? ''}\n`)
    throw new ExitStatus(1)
  }
}
