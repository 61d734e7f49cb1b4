import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import {
  type GenericAmounts,
  genericAmounts,
  offersGiven,
  takeGeneric,
} from '../scheduler/generic-resources.ts'
import { byCreation, isAssigned } from './task-facts.ts'

/** What a node still has to give. */
interface Left {
  nanoCpus: number
  memoryBytes: number
  generic: GenericAmounts
}

/**
 * The wanted tasks of a node that its resources no longer suffice for, by id, each with what is missing (swarmkit's constraint enforcer). The oldest
 * keep theirs; to Swarm the order is chance. While the node is away or its Engine does not answer nobody knows what it has, and all stay. What is being
 * stopped has gone for this: it makes nobody else leave.
 */
export const crowdedOut = (node: Node, tasks: readonly Task[]): Map<string, string> => {
  const missing = new Map<string, string>()
  const { NanoCPUs, MemoryBytes, GenericResources } = node.Description.Resources
  // An Engine that says 0 does not know.
  const isKnown = isSure(node) && NanoCPUs > 0 && MemoryBytes > 0
  if (!isKnown) return missing
  const left: Left = {
    nanoCpus: NanoCPUs,
    memoryBytes: MemoryBytes,
    generic: genericAmounts(GenericResources),
  }
  for (const task of tasks.filter(holdsResources).sort(byCreation)) {
    const lack = lackOf(task, left)
    if (lack === undefined) take(task, left)
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

const lackOf = ({ Spec, GenericResources }: Task, left: Left): string | undefined => {
  const { NanoCPUs = 0, MemoryBytes = 0 } = Spec.Resources?.Reservations ?? {}
  if (NanoCPUs > 0 && NanoCPUs > left.nanoCpus) return 'CPUs'
  if (MemoryBytes > 0 && MemoryBytes > left.memoryBytes) return 'memory'
  return offersGiven(left.generic, GenericResources) ? undefined : 'generic resources'
}

const take = ({ Spec, GenericResources }: Task, left: Left): void => {
  const { NanoCPUs = 0, MemoryBytes = 0 } = Spec.Resources?.Reservations ?? {}
  left.nanoCpus -= NanoCPUs
  left.memoryBytes -= MemoryBytes
  takeGeneric(left.generic, GenericResources)
}
