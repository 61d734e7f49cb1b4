import type { AutoscaleReport } from '../../api/autoscale.ts'
import type { Node } from '../../api/node.ts'
import type { PlacementTable } from '../../api/placement.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import type { CliContext } from '../context.ts'
import { lastOutput } from '../service/last-output.ts'
import { isNotFound, tasksOf } from '../task-target.ts'
import { hasFailed, isAwaited } from '../task-trouble.ts'

/** One check of a container's health, as the Engine keeps the last five. */
export interface HealthCheck {
  Start: string
  ExitCode: number
  Output: string
}

/** The Engine's record of a container's health. */
export interface Health {
  Status: string
  FailingStreak: number
  Log: HealthCheck[] | null
}

/** What the Engine knows of a task's container. */
export interface ContainerFacts {
  health: Health | undefined
  isOutOfMemory: boolean
}

/** All that is looked at to tell why a service is as it is. */
export interface ServiceFacts {
  service: Service
  /** Its tasks, newest first within a slot; of one slot when a task was asked for. */
  tasks: readonly Task[]
  nodes: readonly Node[]
  placement: PlacementTable
  /** By task id, where the node could be asked. */
  containers: ReadonlyMap<string, ContainerFacts>
  /** The last lines of tasks that went wrong, by task id. */
  logs: ReadonlyMap<string, readonly string[]>
  /** Of a service that is scaled by demand, if the leader could be asked. */
  autoscale?: AutoscaleReport | undefined
  nowMs: number
}

/** Tasks whose containers and logs are asked for: the newest that tell something. */
const TASKS_ASKED_MAX = 6
/** Lines of a log that are shown. */
const LOG_LINES = 8
/** How long a node may take for a container or a log, milliseconds. */
const ASK_LIMIT_MS = 3_000

const hasContainer = (task: Task): boolean =>
  task.NodeID !== '' && (task.Status.ContainerStatus?.ContainerID ?? '') !== ''

/** What went wrong, or is not there yet though it is wanted. */
export const isTroubled = (task: Task): boolean => hasFailed(task) || isAwaited(task)

interface ContainerBody {
  State?: { Health?: Health; OOMKilled?: boolean }
}

const containerOf = async ({ client }: CliContext, task: Task): Promise<ContainerFacts> => {
  const { State } = await client.call<ContainerBody>({
    path: `/tasks/${task.ID}/container`,
    signal: AbortSignal.timeout(ASK_LIMIT_MS),
  })
  return { health: State?.Health, isOutOfMemory: State?.OOMKilled === true }
}

const lastLines = async ({ client }: CliContext, task: Task): Promise<string[]> => {
  const texts = await lastOutput(client, task, LOG_LINES, AbortSignal.timeout(ASK_LIMIT_MS))
  return task.Spec.ContainerSpec?.TTY
    ? texts.join('').split(/\r?\n/).filter(Boolean)
    : texts.map((line) => line.trimEnd())
}

/** What could be had; a node that is down or a container that is gone just tells nothing. */
const ask = async <T>(
  tasks: readonly Task[],
  get: (task: Task) => Promise<T>,
): Promise<Map<string, T>> => {
  const answers = await Promise.all(
    tasks.map((task) =>
      get(task).then(
        (answer) => [task.ID, answer] as const,
        () => undefined,
      ),
    ),
  )
  return new Map(answers.filter((answer) => answer !== undefined))
}

const autoscaleOf = async (
  { client }: CliContext,
  { ID, Spec }: Service,
): Promise<AutoscaleReport | undefined> => {
  if (Spec.Swarmctl?.Autoscale === undefined) return undefined
  const signal = AbortSignal.timeout(ASK_LIMIT_MS)
  // A leader of an older version, or a service that is not scaled any more: the rest is still worth telling.
  return client
    .call<AutoscaleReport>({ path: `/services/${ID}/autoscale`, signal })
    .catch(() => undefined)
}

/** Gathers what there is to know of a service, or of some of its tasks. */
export const gatherService = async (
  context: CliContext,
  service: Service,
  only?: readonly Task[],
): Promise<ServiceFacts> => {
  const { client } = context
  const [tasks, nodes, placement, autoscale] = await Promise.all([
    only ?? tasksOf(context, service.ID),
    client.call<Node[]>({ path: '/nodes' }),
    client.call<PlacementTable>({ path: `/services/${service.ID}/placement` }),
    autoscaleOf(context, service),
  ])
  const newest = [...tasks].sort((a, b) => b.CreatedAt.localeCompare(a.CreatedAt))
  const here = newest.filter(hasContainer)
  const troubled = here.filter(isTroubled).slice(0, TASKS_ASKED_MAX)
  const checked = here
    .filter((task) => isWanted(task.DesiredState) || isTroubled(task))
    .slice(0, TASKS_ASKED_MAX)
  const [containers, logs] = await Promise.all([
    ask(checked, (task) => containerOf(context, task)),
    ask(troubled, (task) => lastLines(context, task)),
  ])
  const nowMs = context.nowMs()
  return { service, tasks, nodes, placement, containers, logs, autoscale, nowMs }
}

/** What there is to know of a node. */
export interface NodeFacts {
  node: Node
  /** Tasks that are or were there. */
  tasks: readonly Task[]
  /** What the scheduler says to one more task of each service here. */
  services: readonly {
    name: string
    refusals: { Filter: string; Reason: string }[]
    tasks: number
  }[]
  nowMs: number
}

/** Services whose placement is asked for. */
const SERVICES_ASKED_MAX = 100

/** Gathers what there is to know of a node. */
export const gatherNode = async (context: CliContext, node: Node): Promise<NodeFacts> => {
  const { client } = context
  const filters = JSON.stringify({ node: { [node.ID]: true } })
  const [tasks, services] = await Promise.all([
    client.call<Task[]>({ path: '/tasks', query: { filters } }),
    client.call<Service[]>({ path: '/services' }),
  ])
  const rows = await Promise.all(
    services.slice(0, SERVICES_ASKED_MAX).map(async ({ ID, Spec }) => {
      try {
        const table = await client.call<PlacementTable>({ path: `/services/${ID}/placement` })
        const row = table.Nodes.find(({ NodeID }) => NodeID === node.ID)
        return row && { name: Spec.Name, refusals: row.Refusals, tasks: row.Tasks }
      } catch (error) {
        // Removed meanwhile.
        if (isNotFound(error)) return undefined
        throw error
      }
    }),
  )
  return { node, tasks, services: rows.filter((row) => row !== undefined), nowMs: context.nowMs() }
}
