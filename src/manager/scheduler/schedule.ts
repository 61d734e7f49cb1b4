import type { Node } from '../../api/node.ts'
import type { GenericResource } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'
import { DYNAMIC_FILTERS, explainUnplaced, passes, STATIC_FILTERS } from './filter.ts'
import { claimGeneric, wantsGeneric } from './generic-resources.ts'
import { addTask, buildNodeInfos, failureKey, type NodeInfo } from './node-info.ts'
import { type FailureCounts, failuresOf } from './recent-failures.ts'
import { pickNode } from './spread.ts'

/** What scheduling looks at. */
export interface SchedulerSnapshot {
  nodes: readonly Node[]
  /** All tasks that have a node, in any state. */
  tasks: readonly Task[]
  /** Where tasks failed lately; without it, what the tasks tell. */
  failures?: FailureCounts
  nowMs: number
}

/** Where a task goes, and what of the node's generic resources is its own there. */
export interface Assignment {
  taskId: string
  nodeId: string
  /** Absent when there are none. */
  genericResources?: GenericResource[]
}

/** The nodes with what their tasks hold and where they failed. */
export const nodeInfosOf = ({
  nodes,
  tasks,
  nowMs,
  failures,
}: SchedulerSnapshot): Map<string, NodeInfo> =>
  buildNodeInfos(nodes, tasks, failures ?? failuresOf(tasks, nowMs).counts(nowMs))

/** Where tasks go, and why others can go nowhere. */
export interface Schedule {
  assignments: Assignment[]
  unplaced: { taskId: string; explanation: string }[]
}

/**
 * Places tasks in the given order. One with a node already (a global service's) is only checked against that node. No node's
 * resources, names of them, host ports or replicas per node are ever given away twice.
 */
export const schedule = (snapshot: SchedulerSnapshot, tasks: readonly Task[]): Schedule => {
  const infos = nodeInfosOf(snapshot)
  const all = [...infos.values()]
  const eligibleByVersion = new Map<string, NodeInfo[]>()
  const result: Schedule = { assignments: [], unplaced: [] }
  for (const task of tasks) {
    const considered = task.NodeID === '' ? all : presetNode(infos, task)
    const eligible =
      task.NodeID === ''
        ? cached(eligibleByVersion, failureKey(task), () => eligibleNodes(task, all))
        : eligibleNodes(task, considered)
    const fitting = eligible.filter((info) => passes(DYNAMIC_FILTERS, task, info))
    const info = pickNode(task, fitting, all)
    if (info === undefined) {
      result.unplaced.push({ taskId: task.ID, explanation: explainUnplaced(task, considered) })
      continue
    }
    const assignment: Assignment = { taskId: task.ID, nodeId: info.node.ID }
    const given = wantsGeneric(task) ? claimGeneric(info.freeGeneric, task) : undefined
    if (given?.length) assignment.genericResources = given
    addTask(info, given === undefined ? task : { ...task, GenericResources: given })
    result.assignments.push(assignment)
  }
  return result
}

const presetNode = (infos: ReadonlyMap<string, NodeInfo>, task: Task): NodeInfo[] => {
  const info = infos.get(task.NodeID)
  return info === undefined ? [] : [info]
}

const eligibleNodes = (task: Task, infos: readonly NodeInfo[]): NodeInfo[] =>
  infos.filter((info) => passes(STATIC_FILTERS, task, info))

const cached = <V>(map: Map<string, V>, key: string, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
