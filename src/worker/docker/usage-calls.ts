import { toSwarmctlError } from '../../api/errors.ts'
import type { NodeUsage, TaskUsage, UsageRequest } from '../../api/usage.ts'
import { type ContainerStats, type HostFiles, hostUsage, taskUsage } from '../node-usage.ts'
import { Semaphore } from '../semaphore.ts'
import type { EngineClient } from './engine-client.ts'

/** Containers whose counters are read at the same time. */
const STATS_AT_ONCE = 8
/** How long the Engine may take for one container's counters, milliseconds. */
const STATS_TIMEOUT_MS = 3_000

export interface UsageCallsDeps {
  engine: Pick<EngineClient, 'request'>
  nodeId: string
  /** The containers of this node's tasks that run. */
  containers: () => readonly { taskId: string; id: string }[]
  readHost: () => Promise<HostFiles>
  /** Milliseconds that never go back. */
  uptimeMs: () => number
}

/** Serves `agent.usage`: what this node and its tasks use now. */
export class UsageCalls {
  readonly #deps: UsageCallsDeps
  readonly #limit = new Semaphore(STATS_AT_ONCE)

  constructor(deps: UsageCallsDeps) {
    this.#deps = deps
  }

  /** Handler of the rpc stream: one message. */
  async serve(body: unknown, stream: { send(message: NodeUsage): Promise<void> }): Promise<void> {
    await stream.send(await this.#sample((body ?? {}) as UsageRequest))
  }

  async #sample({ tasks: only }: UsageRequest): Promise<NodeUsage> {
    const { nodeId, containers, readHost, uptimeMs } = this.#deps
    let failure = ''
    const wanted = only && new Set(only)
    const chosen = containers().filter(({ taskId }) => wanted?.has(taskId) ?? true)
    const asked = chosen.map((container) =>
      this.#limit
        .run(() => this.#task(container))
        .catch((thrown) => {
          const { code, message } = toSwarmctlError(thrown)
          // It ended meanwhile: nothing to tell.
          if (code !== 'NOT_FOUND') failure = message
          return undefined
        }),
    )
    const [host, tasks] = await Promise.all([readHost(), Promise.all(asked)])
    return {
      NodeID: nodeId,
      AtMs: uptimeMs(),
      ...hostUsage(host),
      Tasks: tasks.filter((task) => task !== undefined),
      Error: failure,
    }
  }

  async #task({ taskId, id }: { taskId: string; id: string }): Promise<TaskUsage> {
    const stats = await this.#deps.engine.request({
      method: 'GET',
      path: `/containers/${id}/stats`,
      // Without the second that the Engine takes to compare with: who asks does that.
      query: { stream: 'false', 'one-shot': 'true' },
      timeoutMs: STATS_TIMEOUT_MS,
    })
    return taskUsage(taskId, stats as ContainerStats)
  }
}
