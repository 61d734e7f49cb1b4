import pino from 'pino'
import type { Log } from '../api/log.ts'

/** The daemon's log: JSON lines on standard output, in order, also when the process dies. */
export const createLog = (level: string): Log =>
  pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 1, sync: true }),
  )
