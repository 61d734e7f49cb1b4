import type { LeaderRoute } from '../http/ports.ts'
import type { ManagerRuntime } from './manager-runtime.ts'
import { NO_LEADER } from './raft-proposer.ts'

/** How long a request waits for a leader before it is refused. */
const LEADER_WAIT_MS = 5_000

/** Who answers for the cluster's state, as a manager knows it; waits a bounded time for a leader to be known. */
export const routeToLeader = async (
  runtime: ManagerRuntime | undefined,
  selfId: string | undefined,
): Promise<LeaderRoute> => {
  if (!runtime) return { kind: 'none', message: NO_LEADER }
  await runtime.waitForLeader(LEADER_WAIT_MS)
  if (runtime.isLeader) return { kind: 'self' }
  const leader = runtime.leader()
  return leader && leader.nodeId !== selfId
    ? { kind: 'forward', nodeId: leader.nodeId }
    : { kind: 'none', message: NO_LEADER }
}
