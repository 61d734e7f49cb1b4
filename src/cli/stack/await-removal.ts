import { STOP_GRACE_PERIOD_NS } from '../../api/defaults.ts'
import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext } from '../context.ts'
import { patiently } from '../patiently.ts'
import { stackFilters } from './list.ts'

/** So long, beyond its time to drain and stop, a task may take to be gone: its node has to hear of it, and the managers of its end. */
const REMOVAL_LIMIT_MS = 60_000
const POLL_MS = 200
/** Nodes that the line about what is left names. */
const NODES_NAMED_MAX = 5
const NS_PER_MS = 1e6

/** Waits until a removed stack's tasks are gone: until then its networks and volumes are in use. Answers a line about those that stay too long. */
export const awaitRemoval = async (
  context: CliContext,
  stack: string,
): Promise<string | undefined> => {
  const query = { filters: JSON.stringify(stackFilters(stack)) }
  const startMs = context.nowMs()
  for (;;) {
    const tasks = await patiently(context, () =>
      context.client.call<Task[]>({ path: '/tasks', query }),
    )
    if (tasks.length === 0) return undefined
    const waitedMs = context.nowMs() - startMs
    if (tasks.every((task) => waitedMs > endingMs(task) + REMOVAL_LIMIT_MS)) {
      return leftOver(stack, tasks, await namesOfNodes(context, tasks))
    }
    await context.sleep(POLL_MS)
  }
}

/** How long a task may take to drain and stop. */
const endingMs = ({ Spec, Swarmctl }: Task): number =>
  (Swarmctl.DrainLimit + (Spec.ContainerSpec?.StopGracePeriod ?? STOP_GRACE_PERIOD_NS)) / NS_PER_MS

const namesOfNodes = async (context: CliContext, tasks: readonly Task[]): Promise<string[]> => {
  const nodes = await patiently(context, () => context.client.call<Node[]>({ path: '/nodes' }))
  const names = new Map(nodes.map(({ ID, Description }) => [ID, Description.Hostname]))
  const ids = new Set(tasks.map(({ NodeID }) => NodeID).filter((id) => id !== ''))
  return [...ids].map((id) => names.get(id) ?? id).sort()
}

const leftOver = (stack: string, tasks: readonly Task[], nodes: readonly string[]): string => {
  const count = tasks.length === 1 ? '1 task' : `${tasks.length} tasks`
  const more = nodes.length - NODES_NAMED_MAX
  const named = nodes.slice(0, NODES_NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '')
  const where = nodes.length > 0 ? ` on ${named}` : ''
  return `stack ${stack} still has ${count}${where}: see "swarmctl stack ps ${stack}"; what is on a node that is down goes when the node is back, or with "swarmctl node rm --force"`
}
