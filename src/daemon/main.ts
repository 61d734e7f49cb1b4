import { setTimeout as delay } from 'node:timers/promises'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { Daemon } from './daemon.ts'
import { createLog } from './logger.ts'
import { parseDaemonOptions } from './options.ts'
import { systemClock } from './system-clock.ts'
import { VERSION } from './version.ts'

/** How long a stop may take (handing over leadership) before the process ends anyway. */
const STOP_LIMIT_MS = 10_000

const untilSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })

/** What a system call refused, as Node reports it: a socket that nobody listens to any more, say. */
const isSystemError = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && 'code' in error

/**
 * An operating error that nobody waited for is told and survived: a node must not end for a forgotten listener. A programmer's error
 * ends the process, since what it left behind is unknown; the containers run on and the next daemon adopts them.
 */
const watchErrors = (log: Log): void => {
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'unhandled rejection'))
  process.on('uncaughtException', (error) => {
    log.error({ err: error }, 'uncaught error')
    if (!isSystemError(error)) process.exit(1)
  })
}

/** Runs the daemon until SIGTERM or SIGINT. */
export const runDaemon = async (raw: Record<string, unknown>): Promise<void> => {
  const options = parseDaemonOptions(raw)
  const log = createLog(options.logLevel)
  watchErrors(log)
  const onFatal = (error: Error): void => {
    log.error({ error: error.message }, 'the state on disk is unknown, the daemon has to end')
    process.exit(1)
  }
  const daemon = new Daemon({ clock: systemClock, log, random: Math.random, onFatal }, options)
  log.info({ version: VERSION, dataDir: options.dataDir }, 'swarmctl daemon starts')
  await daemon.start()
  const signal = await untilSignal()
  log.info({ signal }, 'stopping')
  await Promise.race([daemon.stop(), delay(STOP_LIMIT_MS)]).catch((error) =>
    log.error({ error: toSwarmctlError(error).message }, 'stop'),
  )
  process.exit(0)
}
