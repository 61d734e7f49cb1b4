import { invalid } from '../../api/errors.ts'
import { ForecastRequest, type ServiceForecast } from '../../api/forecast.ts'
import type { Node } from '../../api/node.ts'
import { withReplicasOf } from '../../api/replicas.ts'
import type { Service } from '../../api/service.ts'
import { isJob } from '../../api/service-defaults.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { parseBody } from '../../api/validate/body.ts'
import { parseServiceRequest, type ServiceRequest } from '../../api/validate/service.ts'
import { isDirty } from '../orchestrator/dirty-task.ts'
import { nodesFor } from '../orchestrator/global.ts'
import { jobCounts } from '../orchestrator/job.ts'
import { newTask, type Seat } from '../orchestrator/new-task.ts'
import { schedule } from '../scheduler/schedule.ts'
import { newMeta } from '../store/new-meta.ts'
import type { View } from '../store/view.ts'
import { type ControlDeps, type ReadOptions, readView } from './context.ts'

/** Tasks that one forecast makes up: a stack of more is answered in parts. */
const TASKS_MAX = 20_000

/**
 * Where the scheduler would put services that don't exist yet, or not like that: tasks that the change would end are taken away, those that
 * it would make are placed by the scheduler itself. Changes nothing. @throws SwarmctlError INVALID_ARGUMENT
 */
export const forecast = async (
  deps: ControlDeps,
  body: unknown,
  options: ReadOptions,
): Promise<ServiceForecast[]> => {
  const { Services, Removed } = parseBody(ForecastRequest, body)
  const requests = Services.map(parseServiceRequest)
  const view = await readView(deps, options)
  const nodes = new Map(view.list('node').map((node) => [node.ID, node]))
  const plans = requests.map((request) => planOf(view, request, nodes, deps))
  const gone = new Set(Removed.flatMap((name) => view.byName('service', name)?.ID ?? []))
  const ended = new Set(plans.flatMap(({ ends }) => ends))
  const stays = view
    .list('task')
    .filter(({ NodeID, ServiceID, ID }) => NodeID !== '' && !gone.has(ServiceID) && !ended.has(ID))
  const made = plans.flatMap(({ makes }) => makes)
  if (made.length > TASKS_MAX) throw invalid(`a forecast of more than ${TASKS_MAX} tasks`)
  const nowMs = deps.clock.nowMs()
  const result = schedule({ nodes: [...nodes.values()], tasks: stays, nowMs }, made)
  const nodeOf = new Map(result.assignments.map(({ taskId, nodeId }) => [taskId, nodeId]))
  const reasonOf = new Map(result.unplaced.map((one) => [one.taskId, one.explanation]))
  return plans.map((plan) => forecastOf(plan, nodes, nodeOf, reasonOf))
}

/** What a service's change ends, keeps and makes. */
interface Plan {
  name: string
  wanted: number
  /** Ids of tasks. */
  ends: string[]
  keeps: Task[]
  makes: Task[]
}

const planOf = (
  view: View,
  { spec: asked, keepsReplicas }: ServiceRequest,
  nodes: ReadonlyMap<string, Node>,
  { clock, newId }: ControlDeps,
): Plan => {
  const existing = view.byName('service', asked.Name)
  const spec = existing && keepsReplicas ? withReplicasOf(asked, existing.Spec) : asked
  // Credentials travel in a header: those in force stay.
  const PullOptions = existing?.Spec.TaskTemplate.PullOptions
  const service: Service = existing
    ? {
        ...existing,
        Spec: withIds(view, {
          ...spec,
          TaskTemplate: { ...spec.TaskTemplate, ...(PullOptions && { PullOptions }) },
        }),
        Swarmctl: { ...existing.Swarmctl, SpecVersion: -1 },
      }
    : { ...newMeta(newId()), Spec: spec, Endpoint: { Spec: {} }, Swarmctl: { SpecVersion: -1 } }
  const present = existing ? view.tasksByService(existing.ID) : []
  const live = present.filter(
    ({ DesiredState, Status }) => isWanted(DesiredState) && !isTerminal(Status.State),
  )
  const seats = seatsOf(service, [...nodes.values()])
  const cluster = view.cluster()
  const places = new Set(seats.map(({ nodeId }) => nodeId))
  const isKept = (task: Task): boolean =>
    isJob(spec) ? isScheduled(spec) : !isDirty(task, { service, cluster }, nodes.get(task.NodeID))
  const keeps = live
    .filter(({ Slot, NodeID }) => Slot !== undefined || places.has(NodeID))
    .filter(isKept)
    .slice(0, seats.length)
  const kept = new Set(keeps.map(keyOf))
  const origin = { service, cluster, newId, nowMs: clock.nowMs() }
  const makes = seats
    .filter((seat) => !kept.has(seat.nodeId ?? String(seat.slot)))
    // Numbers have gaps after some were taken away, which nobody fills.
    .slice(0, seats.length - keeps.length)
    .map((seat) => newTask(origin, seat, 'running'))
  const keptIds = new Set(keeps.map(({ ID }) => ID))
  const ends = live.filter(({ ID }) => !keptIds.has(ID)).map(({ ID }) => ID)
  return { name: spec.Name, wanted: seats.length, ends, keeps, makes }
}

/** Each update of a job does all its work again, but one with a schedule goes on, whatever its next run will be. */
const isScheduled = ({ Swarmctl }: ServiceSpec): boolean => Swarmctl?.Schedule !== undefined

const keyOf = (task: Task): string => (task.Slot === undefined ? task.NodeID : String(task.Slot))

/** Stored specs name networks by id. */
const withIds = (view: View, spec: ServiceSpec): ServiceSpec => ({
  ...spec,
  TaskTemplate: {
    ...spec.TaskTemplate,
    ...(spec.TaskTemplate.Networks && {
      Networks: spec.TaskTemplate.Networks.map((attachment) => ({
        ...attachment,
        Target: view.byName('network', attachment.Target)?.ID ?? attachment.Target,
      })),
    }),
  },
})

const seatsOf = ({ Spec }: Service, nodes: readonly Node[]): Seat[] => {
  const { Mode = {} } = Spec
  if (Mode.Global !== undefined || Mode.GlobalJob !== undefined) {
    return nodesFor(Spec.TaskTemplate, nodes)
      .filter((node) => node.Status.State === 'ready' && node.Spec.Availability === 'active')
      .map(({ ID }) => ({ nodeId: ID }))
  }
  const { concurrentMax, total } = jobCounts(Mode.ReplicatedJob)
  const count = Mode.ReplicatedJob
    ? Math.min(concurrentMax, total)
    : (Mode.Replicated?.Replicas ?? 1)
  if (count > TASKS_MAX) throw invalid(`a forecast of more than ${TASKS_MAX} tasks`)
  const first = Mode.ReplicatedJob ? 0 : 1
  return Array.from({ length: count }, (_, index) => ({ slot: first + index }))
}

const forecastOf = (
  { name, wanted, keeps, makes }: Plan,
  nodes: ReadonlyMap<string, Node>,
  nodeOf: ReadonlyMap<string, string>,
  reasonOf: ReadonlyMap<string, string>,
): ServiceForecast => {
  const counts = new Map<string, number>()
  const reasons = new Map<string, number>()
  for (const task of [...keeps, ...makes]) {
    const nodeId = nodeOf.get(task.ID) ?? task.NodeID
    const reason = reasonOf.get(task.ID)
    if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    else if (nodeId !== '') counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1)
  }
  const nameOf = (nodeId: string): string => nodes.get(nodeId)?.Description.Hostname || nodeId
  return {
    Service: name,
    Wanted: wanted,
    Replaced: makes.length,
    Placed: [...counts]
      .map(([NodeID, Tasks]) => ({ NodeID, Hostname: nameOf(NodeID), Tasks }))
      .sort((a, b) => a.Hostname.localeCompare(b.Hostname, 'en', { numeric: true })),
    Unplaced: [...reasons].map(([Reason, Tasks]) => ({ Tasks, Reason })),
  }
}
