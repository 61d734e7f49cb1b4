import { readFile } from 'node:fs/promises'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { Agent } from '../worker/agent.ts'
import { ContainerCalls } from '../worker/docker/container-calls.ts'
import { UsageCalls } from '../worker/docker/usage-calls.ts'
import type { Engine } from './engine.ts'

const readHost = async () => {
  const [stat, memory, load] = await Promise.all(
    ['stat', 'meminfo', 'loadavg'].map((name) => readFile(`/proc/${name}`, 'utf8')),
  )
  return { stat: stat as string, memory: memory as string, load: load as string }
}

/** Lets managers reach into the containers of this node's tasks, and ask what they use. */
export const serveAgentCalls = (
  handlers: RpcHandlers,
  { agent, engine, nodeId }: { agent: Agent; engine: Engine; nodeId: string },
): void => {
  const containers = new ContainerCalls({
    address: () => engine.address(),
    containerOf: (taskId) => agent.containerOf(taskId),
  })
  const usage = new UsageCalls({
    engine: engine.client,
    nodeId,
    containers: () => agent.runningContainers(),
    readHost,
    uptimeMs: () => performance.now(),
  })
  const options = { roles: ['manager'] } as const
  handlers.onStream(
    'agent.container',
    (body, stream, context) => containers.serve(body, stream, context),
    options,
  )
  handlers.onStream('agent.usage', (body, stream) => usage.serve(body, stream), options)
}
