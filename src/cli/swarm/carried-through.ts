import type { CliContext } from '../context.ts'

const AFTERWARDS = '"swarmctl node ls" here tells whether this node is in the swarm'

/**
 * A change of this node's membership, which the daemon carries through whoever waits for it. `act` is to end when the signal aborts, at
 * Ctrl-C; then it is said what becomes of the change. `condition`: what the daemon must have for it.
 */
export const carriedThrough = async <T>(
  { signal, output }: Pick<CliContext, 'signal' | 'output'>,
  act: (signal: AbortSignal) => Promise<T>,
  condition = '',
): Promise<T> => {
  // What was not begun goes on nowhere.
  signal.throwIfAborted()
  try {
    return await act(signal)
  } catch (thrown) {
    if (signal.aborted) {
      output.writeError(
        `swarmctl: interrupted; the daemon goes on with it${condition}: ${AFTERWARDS}\n`,
      )
    }
    throw thrown
  }
}
