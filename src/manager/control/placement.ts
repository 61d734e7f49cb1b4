import type { PlacementTable } from '../../api/placement.ts'
import { newTask } from '../orchestrator/new-task.ts'
import { placementRows } from '../scheduler/placement.ts'
import { type ControlDeps, type ReadOptions, readView } from './context.ts'
import { resolve } from './resolve.ts'

/** What the scheduler would say to one more task of a service, node by node. Changes nothing. */
export const placement = async (
  deps: ControlDeps,
  reference: string,
  options: ReadOptions,
): Promise<PlacementTable> => {
  const view = await readView(deps, options)
  const service = resolve(view, 'service', reference)
  const nowMs = deps.clock.nowMs()
  const origin = { service, cluster: view.cluster(), newId: deps.newId, nowMs }
  const task = newTask(origin, { slot: 0 }, 'running')
  const tasks = view.list('task').filter((one) => one.NodeID !== '')
  return {
    ServiceID: service.ID,
    Nodes: placementRows({ nodes: view.list('node'), tasks, nowMs }, task),
  }
}
