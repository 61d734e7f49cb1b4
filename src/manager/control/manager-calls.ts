import { z } from 'zod'
import { invalid, SwarmctlError } from '../../api/errors.ts'
import { ATTACH_METHOD } from '../../api/network-attachment.ts'
import type { RpcHandlers } from '../../rpc/handlers.ts'
import type { Control } from './control.ts'

/** A manager's place in the consensus group. */
export interface RaftReport {
  id: string
  role: string
  term: number
  leaderId: string | null
  committed: number
  applied: number
  /** The first and last index in the log. */
  firstIndex: number
  lastIndex: number
  /** Synchronous writes of the log since the manager started. */
  syncCount: number
}

const Reference = z.object({ ref: z.string().min(1) })

/**
 * What nodes may call without HTTP. Every node attaches its own containers to networks. The rest is for managers: configs as the API has
 * them (same checks, same errors), and how consensus stands.
 * A change is acknowledged when it is applied at the leader; another manager answers UNAVAILABLE. A read is linearizable on any manager.
 * Workers are refused: a config is only for nodes that run a task with it. Returns what takes each method back.
 */
export const registerManagerCalls = (
  handlers: RpcHandlers,
  control: Control,
  raftReport: () => RaftReport,
): (() => void)[] => {
  const roles = { roles: ['manager'] } as const
  return [
    handlers.onRequest('config.create', (body) => control.createConfig(body), roles),
    handlers.onRequest('config.inspect', (body) => control.getConfig(refOf(body)), roles),
    handlers.onRequest(
      'config.remove',
      async (body) => {
        await control.removeConfig(refOf(body))
        return {}
      },
      roles,
    ),
    handlers.onRequest(ATTACH_METHOD, async (body, { peer }) => {
      if (!peer) throw new SwarmctlError('PERMISSION_DENIED', 'only nodes attach containers')
      return control.attachContainer(peer.nodeId, body)
    }),
    handlers.onRequest('manager.status', async () => raftReport(), roles),
  ]
}

const refOf = (body: unknown): string => {
  const parsed = Reference.safeParse(body)
  if (!parsed.success) throw invalid('ref must be the id or name of a config')
  return parsed.data.ref
}
