import { copyFileSync, fstatSync, ftruncateSync, statSync } from 'node:fs'
import pino from 'pino'
import type { Log } from '../api/log.ts'

/** Standard output, which the log goes to. */
const STDOUT = 1
/** Of lines that can't be written for now; what comes on top is lost. */
const WAITING_BYTES_MAX = 1024 * 1024
/** Of a log file that nobody else turns: the run directory is memory on most machines. What was in it is kept once beside it. */
const FILE_BYTES_MAX = 8 * 1024 * 1024

const isFile = (fd: number, path: string): boolean => {
  try {
    const [open, named] = [fstatSync(fd), statSync(path)]
    return open.isFile() && open.dev === named.dev && open.ino === named.ino
  } catch {
    return false
  }
}

export interface LogOptions {
  /** The file that a daemon in the background writes to, see `launchDaemon`: as long as it is the output, it is kept small. */
  file?: string
  fd?: number
  fileBytesMax?: number
}

/** Keeps the file at `fd` below a size; the descriptor stays, since children and what Node itself says go to it, too. */
const turning = ({ file, fd, fileBytesMax }: Required<LogOptions>) => {
  let bytes = isFile(fd, file) ? fstatSync(fd).size : undefined
  return (count: number): void => {
    if (bytes === undefined) return
    bytes += count
    if (bytes <= fileBytesMax) return
    bytes = 0
    try {
      copyFileSync(file, `${file}.1`)
    } catch {
      // A full disk: what was told before is less than what happens now.
    }
    try {
      ftruncateSync(fd)
    } catch {
      bytes = undefined
    }
  }
}

/**
 * The daemon's log: JSON lines on standard output, in order, also when the process dies. Whoever logs is in the midst of something
 * else: what can't be written (a full disk, a terminal that was closed) waits or is lost, and never throws.
 */
export const createLog = (
  level: string,
  { file = '', fd = STDOUT, fileBytesMax = FILE_BYTES_MAX }: LogOptions = {},
): Log => {
  const destination = pino.destination({ fd, sync: true, maxLength: WAITING_BYTES_MAX })
  destination.on('error', () => {})
  if (file !== '') destination.on('write', turning({ file, fd, fileBytesMax }))
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
}
