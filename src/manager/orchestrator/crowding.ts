import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { offersGiven } from '../scheduler/generic-resources.ts'
import { addTask, emptyInfo, hasCpus, hasMemory, type NodeInfo } from '../scheduler/node-info.ts'
import { byCreation, isAssigned } from './task-facts.ts'

/**
 * The wanted tasks of a node that its resources no longer suffice for, by id, each with what is missing (swarmkit's constraint enforcer). The oldest
 * keep theirs; to Swarm the order is chance. While the node is away or its Engine does not answer nobody knows what it has, and all stay. What is being
 * stopped has gone for this: it makes nobody else leave.
 */
export const crowdedOut = (node: Node, tasks: readonly Task[]): Map<string, string> => {
  const missing = new Map<string, string>()
  const { NanoCPUs, MemoryBytes } = node.Description.Resources
  // An Engine that says 0 does not know.
  const isKnown = isSure(node) && NanoCPUs > 0 && MemoryBytes > 0
  if (!isKnown) return missing
  const info = emptyInfo(node)
  for (const task of tasks.filter(holdsResources).sort(byCreation)) {
    const lack = lackOf(task, info)
    if (lack === undefined) addTask(info, task)
    else missing.set(task.ID, lack)
  }
  return missing
}

/** A paused node keeps what runs there, and a drained one loses all of it anyhow. */
const isSure = ({ Status, Spec, Description }: Node): boolean =>
  Status.State === 'ready' &&
  Spec.Availability === 'active' &&
  Description.Swarmctl.EngineError === ''

const holdsResources = (task: Task): boolean =>
  isWanted(task.DesiredState) && isAssigned(task) && !isTerminal(task.Status.State)

const lackOf = (task: Task, info: NodeInfo): string | undefined => {
  if (!hasCpus(info, task)) return 'CPUs'
  if (!hasMemory(info, task)) return 'memory'
  return offersGiven(info.freeGeneric, task.GenericResources) ? undefined : 'generic resources'
}
