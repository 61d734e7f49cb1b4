import type { LogMessage, LogsRequest } from '../../api/assignment.ts'
import { notFound, unavailable } from '../../api/errors.ts'
import type { Store } from '../store/store.ts'
import type { AgentConnection } from './ports.ts'

/** Reads tasks' logs from the nodes they run on, over the agents' own connections. */
export class TaskLogs {
  readonly #store: Pick<Store, 'view'>
  readonly #connectionOf: (nodeId: string) => AgentConnection | undefined

  constructor(deps: {
    store: Pick<Store, 'view'>
    connectionOf: (nodeId: string) => AgentConnection | undefined
  }) {
    this.#store = deps.store
    this.#connectionOf = deps.connectionOf
  }

  /**
   * A task's log lines; with `follow` until its container has ended.
   * @throws SwarmctlError NOT_FOUND, UNAVAILABLE when the task has no node or the node is not connected
   */
  async *open(
    taskId: string,
    request: Omit<LogsRequest, 'taskId'>,
    signal: AbortSignal,
  ): AsyncGenerator<LogMessage> {
    const task = this.#store.view().get('task', taskId)
    if (task === undefined) throw notFound(`task ${taskId} not found`)
    if (task.NodeID === '') throw unavailable(`task ${taskId} has not been scheduled`)
    const connection = this.#connectionOf(task.NodeID)
    if (connection === undefined)
      throw unavailable(
        `incomplete log stream: node ${task.NodeID} is not available, so the log of task ${taskId} is missing`,
      )
    const stream = connection.openStream('agent.logs', { ...request, taskId } satisfies LogsRequest)
    const abort = (): void => stream.abort()
    signal.addEventListener('abort', abort, { once: true })
    try {
      if (signal.aborted) return
      for await (const message of stream.messages()) yield message as LogMessage
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', abort)
      // A reader that stops early must not leave the node sending.
      stream.abort()
    }
  }
}
