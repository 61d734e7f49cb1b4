import type { Clock } from '../api/clock.ts'
import { unavailable } from '../api/errors.ts'

/** How long `init` and `join` wait for the node to take part (swarmkit's client limit). */
const WAIT_MS = 20_000
const POLL_MS = 50

/** Resolves as soon as something holds. @throws SwarmctlError UNAVAILABLE with `orElse` when it does not in time */
export const waitUntil = async (
  clock: Clock,
  isDone: () => boolean,
  orElse: string,
): Promise<void> => {
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += POLL_MS) {
    if (isDone()) return
    await new Promise<void>((resolve) => clock.schedule(POLL_MS, resolve))
  }
  throw unavailable(orElse)
}
