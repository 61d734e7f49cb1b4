import type {
  ContainerAnswer,
  ContainerCall,
  ContainerExchange,
  ContainerRequest,
} from '../../api/container-call.ts'
import { notFound, type SwarmctlError, toSwarmctlError, unavailable } from '../../api/errors.ts'
import type { ClusterUsage, NodeUsage, UsageRequest } from '../../api/usage.ts'
import type { Store } from '../store/store.ts'
import { readUsage } from './agent-input.ts'
import type { AgentConnection, SessionStream } from './ports.ts'

/** One call under way on the connection of the task's node. */
class AgentExchange implements ContainerExchange {
  readonly answer: Promise<ContainerAnswer>
  readonly #stream: SessionStream
  readonly #messages: AsyncIterator<unknown>

  constructor(stream: SessionStream) {
    this.#stream = stream
    this.#messages = stream.messages()[Symbol.asyncIterator]()
    this.answer = this.#head()
  }

  send(chunk: Uint8Array): Promise<void> {
    return this.#stream.send(chunk)
  }

  end(): void {
    this.#stream.end()
  }

  async *body(): AsyncGenerator<Uint8Array> {
    await this.answer
    for (;;) {
      const { done, value } = await this.#messages.next()
      if (done) return
      yield value as Uint8Array
    }
  }

  abort(error?: SwarmctlError): void {
    this.#stream.abort(error)
  }

  async #head(): Promise<ContainerAnswer> {
    const { done, value } = await this.#messages.next()
    if (done) throw unavailable('the node ended the call without an answer')
    return value as ContainerAnswer
  }
}

/** What managers ask of agents, over the agents' own connections. */
export class AgentCalls {
  readonly #store: Pick<Store, 'view'>
  readonly #connections: () => Iterable<[nodeId: string, connection: AgentConnection]>
  readonly #connectionOf: (nodeId: string) => AgentConnection | undefined

  constructor(deps: {
    store: Pick<Store, 'view'>
    connections: () => Iterable<[nodeId: string, connection: AgentConnection]>
    connectionOf: (nodeId: string) => AgentConnection | undefined
  }) {
    this.#store = deps.store
    this.#connections = deps.connections
    this.#connectionOf = deps.connectionOf
  }

  /**
   * Begins a call about the container of a task. The caller reads it to its end or aborts it.
   * @throws SwarmctlError NOT_FOUND, UNAVAILABLE when the task has no node or the node is not connected
   */
  container(taskId: string, call: ContainerCall): ContainerExchange {
    const task = this.#store.view().get('task', taskId)
    if (task === undefined) throw notFound(`task ${taskId} not found`)
    if (task.NodeID === '') throw unavailable(`task ${taskId} has not been scheduled`)
    const connection = this.#connectionOf(task.NodeID)
    if (connection === undefined) {
      throw unavailable(`node ${task.NodeID}, which task ${taskId} is on, is not connected`)
    }
    const request: ContainerRequest = { taskId, call }
    return new AgentExchange(connection.openStream('agent.container', request))
  }

  /** What every connected node uses now. One that does not answer before the signal has its reason in `Error`. */
  async usage(signal: AbortSignal): Promise<ClusterUsage> {
    const asked = [...this.#connections()].map(([nodeId, connection]) =>
      nodeUsage(nodeId, connection, signal).catch((thrown) =>
        silent(nodeId, toSwarmctlError(thrown)),
      ),
    )
    return { Nodes: await Promise.all(asked) }
  }

  /** What tasks of some nodes use now, each node's answer when it comes. Who is not connected, or does not answer before the signal, is left out. */
  async taskUsage(
    taskIds: ReadonlyMap<string, readonly string[]>,
    onReport: (usage: NodeUsage) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const ask = async (nodeId: string, tasks: readonly string[]): Promise<void> => {
      const connection = this.#connectionOf(nodeId)
      if (connection === undefined) return
      const usage = await nodeUsage(nodeId, connection, signal, { tasks })
      const own = new Set(tasks)
      onReport({ ...usage, Tasks: usage.Tasks.filter(({ TaskID }) => own.has(TaskID)) })
    }
    await Promise.allSettled([...taskIds].map(([nodeId, tasks]) => ask(nodeId, tasks)))
  }
}

const silent = (nodeId: string, error: SwarmctlError): NodeUsage => ({
  NodeID: nodeId,
  AtMs: 0,
  CPUs: 0,
  CPUTotal: 0,
  Memory: 0,
  MemoryTotal: 0,
  Load: [0, 0, 0],
  Tasks: [],
  Error: error.message,
})

const nodeUsage = async (
  nodeId: string,
  connection: AgentConnection,
  signal: AbortSignal,
  request: UsageRequest = {},
): Promise<NodeUsage> => {
  const stream = connection.openStream('agent.usage', request)
  const giveUp = () => stream.abort(unavailable('the node did not answer in time'))
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    for await (const message of stream.messages()) return readUsage(nodeId, message)
    throw unavailable('the node ended the call without an answer')
  } finally {
    signal.removeEventListener('abort', giveUp)
    stream.abort()
  }
}
