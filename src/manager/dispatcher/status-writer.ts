import type { SwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { TaskStatus } from '../../api/task.ts'
import { compareTaskStates } from '../../api/task-state.ts'
import type { Store } from '../store/store.ts'
import type { Tx } from '../store/tx.ts'
import { STATUSES_PENDING_MAX } from './limits.ts'

/** A status that replaces the stored one: only for a task on the node that says so, and never backwards. */
export const applyStatus = (tx: Tx, nodeId: string, taskId: string, status: TaskStatus): void => {
  const task = tx.get('task', taskId)
  if (task === undefined || task.NodeID !== nodeId) return
  const order = compareTaskStates(status.State, task.Status.State)
  if (order < 0 || (order === 0 && !adds(task.Status, status))) return
  tx.put('task', { ...task, Status: status })
}

/** The same state said again is no news unless it now names the container. */
const adds = (old: TaskStatus, status: TaskStatus): boolean =>
  (status.ContainerStatus !== undefined &&
    status.ContainerStatus.ContainerID !== old.ContainerStatus?.ContainerID) ||
  (status.ContainerStatus?.PID ?? 0) !== (old.ContainerStatus?.PID ?? 0) ||
  (status.Err ?? '') !== (old.Err ?? '')

interface Report {
  readonly nodeId: string
  readonly taskId: string
  readonly status: TaskStatus
}

/**
 * Writes what agents report: one transaction in flight, what arrives meanwhile is the next one (as raft's own group commit), so that
 * a lone status never waits and many share a transaction.
 */
export class StatusWriter {
  readonly #store: Pick<Store, 'batch'>
  readonly #log: Log
  /** Called when statuses of these nodes were not written: their agents have to say them again. */
  readonly #onLost: (nodeIds: Set<string>) => void
  /** By node and task: what a node says of another's task must not take its place. */
  #pending = new Map<string, Report>()
  #writing: Promise<void> | undefined

  constructor(deps: {
    store: Pick<Store, 'batch'>
    log: Log
    onLost: (nodeIds: Set<string>) => void
  }) {
    this.#store = deps.store
    this.#log = deps.log
    this.#onLost = deps.onLost
  }

  /** Resolves at once unless too many statuses wait to be written. */
  async report(
    nodeId: string,
    updates: readonly { taskId: string; status: TaskStatus }[],
  ): Promise<void> {
    while (this.#pending.size >= STATUSES_PENDING_MAX && this.#writing !== undefined)
      await this.#writing
    for (const { taskId, status } of updates) {
      const key = `${nodeId} ${taskId}`
      const known = this.#pending.get(key)
      // Of a task that moved on meanwhile only the newest state is written.
      if (known === undefined || compareTaskStates(known.status.State, status.State) <= 0)
        this.#pending.set(key, { nodeId, taskId, status })
    }
    if (this.#pending.size > 0) this.#writing ??= this.#write()
  }

  /** Forgets what is not written: this manager does not lead any more. */
  clear(): void {
    this.#pending.clear()
  }

  async #write(): Promise<void> {
    // Reports that arrive in the same turn of the loop share the first transaction.
    await null
    while (this.#pending.size > 0) {
      const batch = [...this.#pending.values()]
      this.#pending = new Map()
      try {
        await this.#store.batch(
          batch.map(
            ({ nodeId, taskId, status }) =>
              (tx: Tx) =>
                applyStatus(tx, nodeId, taskId, status),
          ),
          (at, refusal) => this.#onRefused(batch[at] as Report, refusal),
        )
      } catch (error) {
        this.#log.warn(
          { error: (error as Error).message, statuses: batch.length },
          'could not write task statuses',
        )
        this.#onLost(new Set(batch.map(({ nodeId }) => nodeId)))
      }
    }
    this.#writing = undefined
  }

  /** Said again it would be refused again, and cost its node's session each time. */
  #onRefused({ nodeId, taskId, status }: Report, { message }: SwarmctlError): void {
    this.#log.warn(
      { node: nodeId, task: taskId, state: status.State, error: message },
      'a task status is refused',
    )
  }
}
