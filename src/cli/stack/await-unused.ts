import { toSwarmctlError } from '../../api/errors.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import type { CliContext } from '../context.ts'
import { stackFilters } from './list.ts'

/** Tasks of a removed service drain and stop before what they used can go. */
const GONE_LIMIT_MS = 120_000
const POLL_MS = 200
/** Tasks that the line about what is left names. */
const TASKS_NAMED_MAX = 5

/**
 * Waits until nothing uses what `operations` remove: tasks do until they end, also those that a restored service replaces one after the
 * other. Answers a line about those that stay too long.
 */
export const awaitUnused = async (
  context: Pick<CliContext, 'client' | 'sleep'>,
  stack: string,
  removedServices: readonly string[],
  operations: readonly StackOperation[],
): Promise<string | undefined> => {
  const networks = new Set(
    operations.flatMap((one) => (one.kind === 'remove-network' ? [one.id] : [])),
  )
  const isUser = ({ ServiceID, DesiredState, Status, NetworksAttachments }: Task): boolean =>
    removedServices.includes(ServiceID) ||
    (isWanted(DesiredState) &&
      !isTerminal(Status.State) &&
      (NetworksAttachments ?? []).some(({ Network }) => networks.has(Network.ID)))
  if (removedServices.length === 0 && networks.size === 0) return undefined
  const query = { filters: JSON.stringify(stackFilters(stack)) }
  let left = ''
  for (let waitedMs = 0; waitedMs < GONE_LIMIT_MS; waitedMs += POLL_MS) {
    try {
      const users = (await context.client.call<Task[]>({ path: '/tasks', query })).filter(isUser)
      if (users.length === 0) return undefined
      left = named(users)
    } catch (thrown) {
      left = `what nobody says (${toSwarmctlError(thrown).message})`
    }
    await context.sleep(POLL_MS)
  }
  return `what the deployment made is still in use after ${GONE_LIMIT_MS / 1000} s, by ${left}: see "swarmctl stack ps ${stack}"`
}

const named = (tasks: readonly Task[]): string => {
  const names = tasks.slice(0, TASKS_NAMED_MAX).map(({ Swarmctl, Slot, NodeID, Status }) => {
    const place = Slot || NodeID
    return `${Swarmctl.ServiceName}.${place} (${Status.State})`
  })
  const more = tasks.length - names.length
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
