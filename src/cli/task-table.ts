import type { Node } from '../api/node.ts'
import type { Service } from '../api/service.ts'
import type { Task } from '../api/task.ts'
import { compareTaskStates } from '../api/task-state.ts'
import type { CliContext } from './context.ts'
import type { ListOptions, Row } from './output.ts'
import { printList } from './output.ts'
import { ago } from './relative-time.ts'

const HEADS = ['ID', 'NAME', 'IMAGE', 'NODE', 'DESIRED STATE', 'CURRENT STATE', 'ERROR', 'PORTS']

/** Flags of the three `ps` commands. */
export interface PsOptions extends ListOptions {
  filter?: string[]
  noTrunc?: boolean
  noResolve?: boolean
  trunc?: boolean
  resolve?: boolean
}

/** Docker's length of a shown error. */
const ERROR_LENGTH_MAX = 80

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const ports = (task: Task): string =>
  (task.Status.PortStatus?.Ports ?? [])
    .map((port) => `*:${port.PublishedPort}->${port.TargetPort}/${port.Protocol}`)
    .join(',')

/** Newest first within a slot: the running one leads, its history hangs below it. */
const inOrder = (tasks: readonly Task[], nameOf: (task: Task) => string): Task[] =>
  [...tasks].sort(
    (a, b) =>
      nameOf(a).localeCompare(nameOf(b), 'en', { numeric: true }) ||
      compareTaskStates(a.DesiredState, b.DesiredState) ||
      Date.parse(b.CreatedAt) - Date.parse(a.CreatedAt),
  )

/** Names for the ids that tasks carry. */
interface Names {
  services: Map<string, string>
  nodes: Map<string, string>
}

const resolveNames = async ({ client }: CliContext): Promise<Names> => {
  const [services, nodes] = await Promise.all([
    client.call<Service[]>({ path: '/services' }),
    client.call<Node[]>({ path: '/nodes' }),
  ])
  return {
    services: new Map(services.map((service) => [service.ID, service.Spec.Name])),
    nodes: new Map(nodes.map((node) => [node.ID, node.Description.Hostname])),
  }
}

const rowsOf = (tasks: readonly Task[], names: Names, options: PsOptions, nowMs: number) => {
  const whole = options.trunc === false
  const nameOf = (task: Task): string =>
    `${names.services.get(task.ServiceID) ?? task.ServiceID}.${task.Slot ?? task.NodeID}`
  let previous = ''
  return inOrder(tasks, nameOf).map((task): Row & { ID: string } => {
    const name = nameOf(task)
    const isHistory = name === previous
    previous = name
    const error = task.Status.Err ?? ''
    return {
      ID: whole || options.quiet ? task.ID : task.ID.slice(0, 12),
      NAME: isHistory ? ` \\_ ${name}` : name,
      IMAGE: (task.Spec.ContainerSpec?.Image ?? '').replace(whole ? /$^/ : /@sha256:.*/, ''),
      NODE: names.nodes.get(task.NodeID) ?? task.NodeID,
      'DESIRED STATE': capital(task.DesiredState),
      'CURRENT STATE': `${capital(task.Status.State)} ${ago(task.Status.Timestamp, nowMs).toLowerCase()}`,
      ERROR:
        whole || error.length <= ERROR_LENGTH_MAX
          ? error
          : `${error.slice(0, ERROR_LENGTH_MAX - 1)}…`,
      PORTS: ports(task),
    }
  })
}

/** Prints tasks as `service ps`, `node ps` and `stack ps` do. */
export const printTasks = async (
  context: CliContext,
  options: PsOptions,
  tasks: readonly Task[],
): Promise<void> => {
  const names =
    options.resolve === false
      ? { services: new Map<string, string>(), nodes: new Map<string, string>() }
      : await resolveNames(context)
  const rows = rowsOf(tasks, names, options, context.nowMs())
  // With --no-trunc the error decides: a table as wide as it needs.
  const output =
    options.trunc === false ? { ...context.output, columns: undefined } : context.output
  printList(output, options, HEADS, rows)
}
