import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { taskName } from '../../api/task-name.ts'
import type { CliContext } from '../context.ts'
import { lastOutput } from '../service/last-output.ts'
import { tasksOf } from '../task-target.ts'
import { hasFailed } from '../task-trouble.ts'

/** Lines of a failed task's log that are shown. */
const LOG_LINES = 10
/** A node that does not answer must not hold up the rollback. */
const LOG_LIMIT_MS = 5000

/** Says on standard error why a service failed: reason, exit code, node and last log lines of the task that failed last. */
export const reportFailure = async (
  context: CliContext,
  serviceId: string,
  reason: string,
): Promise<void> => {
  const { client, output } = context
  const service = await client.call<Service>({ path: `/services/${serviceId}` })
  output.writeError(`service ${service.Spec.Name} failed: ${reason}\n`)
  const task = lastFailed(await tasksOf(context, serviceId))
  if (task === undefined) return
  const node = task.NodeID
    ? await client.call<Node>({ path: `/nodes/${task.NodeID}` }).catch(() => undefined)
    : undefined
  const where = node ? ` on node ${node.Description.Hostname}` : ''
  const code = task.Status.ContainerStatus?.ExitCode
  // Without a code the container did not even start.
  const exit = !code || task.Status.State !== 'failed' ? '' : `, exit code ${code}`
  const why = task.Status.Err || task.Status.Message
  output.writeError(`  task ${taskName(task)}${where}: ${task.Status.State}${exit}: ${why}\n`)
  const lines = await lastLines(context, task).catch(() => [])
  if (lines.length > 0) output.writeError(`  its last log lines:\n`)
  for (const line of lines) output.writeError(`  | ${line}\n`)
}

/** The newest task that failed, else the newest that waits and says why. */
const lastFailed = (tasks: readonly Task[]): Task | undefined => {
  const newest = tasks.toSorted((a, b) => b.CreatedAt.localeCompare(a.CreatedAt))
  return newest.find(hasFailed) ?? newest.find(({ Status }) => Status.Err)
}

const lastLines = async ({ client, signal }: CliContext, task: Task): Promise<string[]> => {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOG_LIMIT_MS)])
  const text = (await lastOutput(client, task, LOG_LINES, limit)).join('')
  const lines = text.split(/\r?\n/)
  return lines.filter((line) => line !== '').slice(-LOG_LINES)
}
