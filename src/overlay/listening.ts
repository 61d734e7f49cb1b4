import type { Clock } from '../api/clock.ts'
import { readSockets } from './drain.ts'
import type { Proc } from './proc.ts'
import { isListening } from './socket-table.ts'

/** Milliseconds between two looks: packets can't be held, so a task enters rotation this much later than it could. */
const LOOK_MS = 20

/** Where connections will come, and how long that is waited for. */
export interface ListenWait {
  ports: readonly number[]
  limitMs: number
}

/** Resolves when the process's network namespace accepts connections to every port at these addresses, is gone, at the limit, or when the signal aborts. */
export const untilListening = async (
  deps: { proc: Proc; clock: Clock },
  { pid, addresses, ports, limitMs }: ListenWait & { pid: number; addresses: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<void> => {
  if (pid <= 0) return
  // Looks instead of times: a clock that is set back must not make the limit longer.
  for (let look = 0; look * LOOK_MS < limitMs && !signal.aborted; look++) {
    const lines = await readSockets(deps.proc, pid)
    if (lines === null || ports.every((port) => isListening(lines, addresses, port))) return
    await new Promise<void>((resolve) => void deps.clock.schedule(LOOK_MS, resolve))
  }
}
