import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { Daemon } from './daemon.ts'
import { logFileIn } from './launch.ts'
import { createLog } from './logger.ts'
import { parseDaemonOptions } from './options.ts'
import { systemClock } from './system-clock.ts'
import { VERSION } from './version.ts'

/**
 * How often a function has run before V8's two compilers take it, five times their defaults (Node 24). What a deployment waits for is mostly code that
 * runs for the first time: compilers that begin later leave it the CPUs, and what stays hot is compiled all the same.
 */
const COMPILE_FLAGS = [
  '--invocation-count-for-maglev=2000',
  '--invocation-count-for-turbofan=15000',
]

/** How long a stop may take (handing over leadership) before the process ends anyway. */
const STOP_LIMIT_MS = 10_000

/**
 * Asked for from the first moment on: a start takes its time, and is not cut short. A second one of a kind ends the process at once. SIGHUP
 * tells Docker's daemon to read its settings again; ours has none, and neither a closed terminal nor a script for both shall end it.
 */
const untilSignal = (log: Log): Promise<string> => {
  process.on('SIGHUP', () => log.info({}, 'SIGHUP: there are no settings to read again'))
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
}

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
  for (const flag of COMPILE_FLAGS) setFlagsFromString(flag)
  const log = createLog(options.logLevel, { file: logFileIn(options.runDir) })
  watchErrors(log)
  const signalled = untilSignal(log)
  const onFatal = (error: Error): void => {
    log.error({ error: error.message }, 'the state on disk is unknown, the daemon has to end')
    process.exit(1)
  }
  const daemon = new Daemon({ clock: systemClock, log, random: Math.random, onFatal }, options)
  log.info({ version: VERSION, dataDir: options.dataDir }, 'swarmctl daemon starts')
  const started = daemon.start()
  const signal = await Promise.race([signalled, started.then(() => signalled)]).catch(
    // What it opened before it failed would keep the process alive, and answer.
    (error) => stopWithin(daemon.stop(), log).then(() => Promise.reject(error)),
  )
  log.info({ signal }, 'stopping')
  await stopWithin(
    started.then(() => daemon.stop()),
    log,
  )
  process.exit(0)
}

/** What can't be ended in time, or at all, ends with the process: all that counts is on the disk. */
const stopWithin = (stopped: Promise<void>, log: Log): Promise<unknown> =>
  Promise.race([
    stopped,
    delay(STOP_LIMIT_MS, undefined, { ref: false }).then(() =>
      log.warn({}, `not stopped after ${STOP_LIMIT_MS / 1000} s: the process ends all the same`),
    ),
  ]).catch((error) => log.error({ error: toSwarmctlError(error).message }, 'stop'))
