import { labelOf } from '../../api/label-of.ts'
import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import { FAILURES_MAX, failureKey, type NodeInfo, serviceTaskCount } from './node-info.ts'

const NODE_LABELS = 'node.labels.'
const ENGINE_LABELS = 'engine.labels.'

/**
 * The best node for a task among `fitting`. Each placement preference in turn narrows them to the branch (the nodes with one value of
 * the label) that has the fewest tasks of the service, counted over `all` nodes: full and paused ones count, too. Undefined when none fits.
 */
export const pickNode = (
  task: Task,
  fitting: readonly NodeInfo[],
  all: readonly NodeInfo[],
): NodeInfo | undefined => {
  if (fitting.length === 0) return undefined
  let candidates = fitting
  let branch = all
  for (const preference of task.Spec.Placement?.Preferences ?? []) {
    const descriptor = preference.Spread?.SpreadDescriptor
    if (descriptor === undefined) continue
    const value = lightestValue(descriptor, task, candidates, branch)
    const isThere = (info: NodeInfo): boolean => branchOf(descriptor, info.node) === value
    candidates = candidates.filter(isThere)
    branch = branch.filter(isThere)
  }
  let best: NodeInfo | undefined
  for (const info of candidates) {
    if (best === undefined || compareNodes(task, info, best) < 0) best = info
  }
  return best
}

const lightestValue = (
  descriptor: string,
  task: Task,
  candidates: readonly NodeInfo[],
  branch: readonly NodeInfo[],
): string => {
  const counts = new Map<string, number>()
  for (const info of branch) {
    const value = branchOf(descriptor, info.node)
    counts.set(value, (counts.get(value) ?? 0) + serviceTaskCount(info, task.ServiceID))
  }
  const values = new Set(candidates.map((info) => branchOf(descriptor, info.node)))
  return [...values].reduce((best, value) => {
    const order = (counts.get(value) ?? 0) - (counts.get(best) ?? 0)
    return order < 0 || (order === 0 && value < best) ? value : best
  })
}

/** Nodes without the label are a branch of their own, as Swarm's. */
const branchOf = (descriptor: string, node: Node): string => {
  const lower = descriptor.toLowerCase()
  if (lower.startsWith(NODE_LABELS))
    return labelOf(node.Spec.Labels, descriptor.slice(NODE_LABELS.length))
  if (lower.startsWith(ENGINE_LABELS)) {
    return labelOf(node.Description.Engine.Labels, descriptor.slice(ENGINE_LABELS.length))
  }
  return ''
}

/** Recent failures last; then fewest tasks of the service, smallest share reserved, fewest tasks; the id makes it definite. */
const compareNodes = (task: Task, a: NodeInfo, b: NodeInfo): number =>
  graveFailures(task, a) - graveFailures(task, b) ||
  serviceTaskCount(a, task.ServiceID) - serviceTaskCount(b, task.ServiceID) ||
  reservedShare(a) - reservedShare(b) ||
  a.taskCount - b.taskCount ||
  (a.node.ID < b.node.ID ? -1 : 1)

/** A few failures are forgiven; of nodes with many the one with fewer is tried first, as in swarmkit. */
const graveFailures = (task: Task, info: NodeInfo): number => {
  const count = info.failureCounts.get(failureKey(task)) ?? 0
  return count < FAILURES_MAX ? 0 : count
}

/** The scarcer of CPU and memory, 0 to 1. */
const reservedShare = (info: NodeInfo): number => {
  const { NanoCPUs, MemoryBytes } = info.node.Description.Resources
  return Math.max(
    info.reservedNanoCpus / Math.max(1, NanoCPUs),
    info.reservedMemoryBytes / Math.max(1, MemoryBytes),
  )
}
