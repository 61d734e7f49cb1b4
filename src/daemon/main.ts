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

/** A rejection that nobody awaited is told and survived: the containers' node must not end for a forgotten `catch`. */
const watchRejections = (log: Log): void => {
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'unhandled rejection'))
}

/** Runs the daemon until SIGTERM or SIGINT. */
export const runDaemon = async (raw: Record<string, unknown>): Promise<void> => {
  const options = parseDaemonOptions(raw)
  const log = createLog(options.logLevel)
  watchRejections(log)
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
