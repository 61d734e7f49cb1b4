import { SwarmctlError } from '../api/errors.ts'
import type { Node } from '../api/node.ts'
import type { Service } from '../api/service.ts'
import type { Task } from '../api/task.ts'
import { isWanted } from '../api/task-state.ts'
import type { CliContext } from './context.ts'

/** Whether the daemon said that there is no such object. */
export const isNotFound = (error: unknown): boolean =>
  error instanceof SwarmctlError && error.code === 'NOT_FOUND'

/** The object, or undefined when there is none of this name. */
export const findOrNone = async <T>(
  { client }: CliContext,
  path: string,
): Promise<T | undefined> => {
  try {
    return await client.call<T>({ path })
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** The tasks of a service, newest first within a slot. */
export const tasksOf = async ({ client }: CliContext, serviceId: string): Promise<Task[]> => {
  const filters = JSON.stringify({ service: { [serviceId]: true } })
  const tasks = await client.call<Task[]>({ path: '/tasks', query: { filters } })
  return tasks.sort(
    (a, b) => (a.Slot ?? 0) - (b.Slot ?? 0) || b.CreatedAt.localeCompare(a.CreatedAt),
  )
}

const isRunning = (task: Task): boolean =>
  isWanted(task.DesiredState) && task.Status.State === 'running'

/** `web.2`, `web.2.TASKID`, or for a global service `web.HOSTNAME`: the service and which of its tasks. */
const splitName = (ref: string): [service: string, seat: string][] =>
  [...ref.matchAll(/\./g)]
    .map(({ index }): [string, string] => [ref.slice(0, index), ref.slice(index + 1)])
    .reverse()

const sits = (task: Task, seat: string, nodes: readonly Node[]): boolean => {
  if (seat === `${task.Slot}` || seat === task.NodeID || seat.endsWith(task.ID)) return true
  const node = nodes.find(({ ID }) => ID === task.NodeID)
  return task.Slot === undefined && node?.Description.Hostname === seat
}

/** The tasks that a name such as `web.2` means; undefined when it means none. */
export const tasksByName = async (
  context: CliContext,
  ref: string,
): Promise<{ service: Service; tasks: Task[] } | undefined> => {
  for (const [name, seat] of splitName(ref)) {
    const service = await findOrNone<Service>(context, `/services/${encodeURIComponent(name)}`)
    if (!service) continue
    const tasks = await tasksOf(context, service.ID)
    const nodes = await context.client.call<Node[]>({ path: '/nodes' })
    const found = tasks.filter((task) => sits(task, seat, nodes))
    if (found.length > 0) return { service, tasks: found }
  }
  return undefined
}

const noneRuns = (what: string, name: string): SwarmctlError =>
  new SwarmctlError(
    'FAILED_PRECONDITION',
    `${what} has no running task: "swarmctl why ${name}" tells why`,
  )

/** The task that `exec` and `cp` mean: a running one of a service, the first; or a task by id or by a name such as `web.2`. */
export const runningTask = async (context: CliContext, ref: string): Promise<Task> => {
  const service = await findOrNone<Service>(context, `/services/${encodeURIComponent(ref)}`)
  if (service) {
    const task = (await tasksOf(context, service.ID)).find(isRunning)
    if (!task) throw noneRuns(`service ${service.Spec.Name}`, service.Spec.Name)
    return task
  }
  const named = await tasksByName(context, ref)
  if (named) {
    const task = named.tasks.find(isRunning)
    if (!task) throw noneRuns(ref, ref)
    return task
  }
  const task = await findOrNone<Task>(context, `/tasks/${encodeURIComponent(ref)}`)
  if (!task) throw new SwarmctlError('NOT_FOUND', `no such service or task: ${ref}`)
  return task
}
