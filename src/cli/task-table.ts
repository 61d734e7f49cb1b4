import type { Node } from '../api/node.ts'
import type { Service } from '../api/service.ts'
import type { Task } from '../api/task.ts'
import { compareTaskStates } from '../api/task-state.ts'
import type { CliContext } from './context.ts'
import type { Column, ListOptions, ListRow } from './format/listing.ts'
import { printListing, shortId, shortImage } from './format/listing.ts'
import { capital } from './pretty/lines.ts'
import { ago } from './relative-time.ts'

const COLUMNS: readonly Column[] = [
  { head: 'ID', field: 'ID' },
  { head: 'NAME', field: 'Name' },
  { head: 'IMAGE', field: 'Image' },
  { head: 'NODE', field: 'Node' },
  { head: 'DESIRED STATE', field: 'DesiredState' },
  { head: 'CURRENT STATE', field: 'CurrentState' },
  { head: 'ERROR', field: 'Error' },
  { head: 'PORTS', field: 'Ports' },
]

/** Flags of the three `ps` commands. */
export interface PsOptions extends ListOptions {
  filter?: string[]
  resolve?: boolean
}

/** Docker's length of a shown error. */
const ERROR_LENGTH_MAX = 80

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
  const nameOf = (task: Task): string =>
    `${names.services.get(task.ServiceID) ?? task.ServiceID}.${task.Slot ?? task.NodeID}`
  let previous = ''
  return inOrder(tasks, nameOf).map((task): ListRow => {
    const name = nameOf(task)
    const isHistory = name === previous
    previous = name
    const error = task.Status.Err ?? ''
    return {
      id: task.ID,
      fields: {
        ID: shortId(task.ID, options),
        Name: isHistory ? ` \\_ ${name}` : name,
        Image: shortImage(task.Spec.ContainerSpec?.Image ?? '', options),
        Node: names.nodes.get(task.NodeID) ?? task.NodeID,
        DesiredState: capital(task.DesiredState),
        CurrentState: `${capital(task.Status.State)} ${ago(task.Status.Timestamp, nowMs).toLowerCase()}`,
        Error:
          options.trunc === false || error.length <= ERROR_LENGTH_MAX
            ? error
            : `${error.slice(0, ERROR_LENGTH_MAX - 1)}…`,
        Ports: ports(task),
      },
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
  printListing(context.output, options, COLUMNS, rows)
}
