import {
  type Filters,
  filterWords,
  matchesAny,
  matchesLabels,
  matchesPrefix,
  requireFilterKeys,
} from '../../api/filters.ts'
import type { Task } from '../../api/task.ts'
import { taskName } from '../../api/task-name.ts'
import { TASK_STATE_ORDER } from '../../api/task-state.ts'
import { isDirty } from '../orchestrator/dirty-task.ts'
import type { View } from '../store/view.ts'
import { type ControlDeps, type ReadOptions, readView } from './context.ts'
import { redactTask } from './redact.ts'
import { find, resolve } from './resolve.ts'

const FILTER_KEYS = [
  'id',
  'label',
  'name',
  'node',
  'service',
  'desired-state',
  'runtime',
  '_up-to-date',
] as const

const CONTAINER_RUNTIME = 'container'
/** Without a filter attachments of single containers are not listed (moby `daemon/cluster/tasks.go`). */
const DEFAULT_RUNTIMES: readonly string[] = [CONTAINER_RUNTIME]

/** The verbs of `/tasks`. */
export class Tasks {
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
  }

  async get(reference: string, options: ReadOptions): Promise<Task> {
    const view = await readView(this.#deps, options)
    return redactTask(resolve(view, 'task', reference))
  }

  async list(filters: Filters, options: ReadOptions): Promise<Task[]> {
    requireFilterKeys(filters, FILTER_KEYS)
    const desiredStates = filterWords(filters, 'desired-state', Object.keys(TASK_STATE_ORDER))
    // Whatever its value is (moby `daemon/cluster/filters.go`).
    const isUpToDateOnly = (filters['_up-to-date'] ?? []).length > 0
    const view = await readView(this.#deps, options)
    const serviceIds = filters.service?.map((reference) => serviceIdOf(view, reference))
    const nodeIds = filters.node?.map((reference) => resolve(view, 'node', reference).ID)
    return candidates(view, serviceIds, nodeIds)
      .filter(
        (task) =>
          matchesPrefix(filters.id, task.ID) &&
          matchesPrefix(filters.name, taskName(task)) &&
          matchesLabels(filters.label, task.Swarmctl.ServiceLabels) &&
          matchesAny(serviceIds, task.ServiceID) &&
          matchesAny(nodeIds, task.NodeID) &&
          matchesAny(desiredStates, task.DesiredState) &&
          matchesAny(filters.runtime ?? DEFAULT_RUNTIMES, task.Spec.Runtime || CONTAINER_RUNTIME) &&
          (!isUpToDateOnly || isUpToDate(view, task)),
      )
      .map(redactTask)
  }
}

/** The tasks of a removed service can still be asked for by its id while they end. */
const serviceIdOf = (view: View, reference: string): string =>
  find(view, 'service', reference)?.ID ??
  (view.tasksByService(reference).length > 0 ? reference : resolve(view, 'service', reference).ID)

/** Clients poll the tasks of one service or node: they must not cost a walk over all. */
const candidates = (
  view: View,
  serviceIds: string[] | undefined,
  nodeIds: string[] | undefined,
): Task[] => {
  if (serviceIds !== undefined && serviceIds.length > 0) {
    return [...new Set(serviceIds)].flatMap((id) => view.tasksByService(id))
  }
  if (nodeIds !== undefined && nodeIds.length > 0) {
    return [...new Set(nodeIds)].flatMap((id) => view.tasksByNode(id))
  }
  return view.list('task')
}

const isUpToDate = (view: View, task: Task): boolean => {
  const service = view.get('service', task.ServiceID)
  const wanted = service && { service, cluster: view.cluster() }
  return wanted !== undefined && !isDirty(task, wanted, view.get('node', task.NodeID))
}
