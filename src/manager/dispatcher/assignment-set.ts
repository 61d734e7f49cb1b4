import { isDeepStrictEqual } from 'node:util'
import type { AssignmentsMessage } from '../../api/assignment.ts'
import type { Config } from '../../api/config.ts'
import type { Network } from '../../api/network.ts'
import type { Secret } from '../../api/secret.ts'
import type { Task } from '../../api/task.ts'
import { compareTaskStates, isTerminal } from '../../api/task-state.ts'
import type { View } from '../store/view.ts'

/** All that a node is told to hold. Values are the store's own objects: the same identity means unchanged. */
export interface AssignmentSet {
  readonly tasks: ReadonlyMap<string, Task>
  readonly secrets: ReadonlyMap<string, Secret>
  readonly configs: ReadonlyMap<string, Config>
  readonly networks: ReadonlyMap<string, Network>
}

export const emptyAssignmentSet = (): AssignmentSet => ({
  tasks: new Map(),
  secrets: new Map(),
  configs: new Map(),
  networks: new Map(),
})

/**
 * What a node's tasks are and need. Ended tasks stay assigned until the store drops them (their containers' logs stay readable), but
 * nothing secret goes with them: a worker gets only what its tasks need (design §9).
 */
export const assignmentSet = (view: View, nodeId: string): AssignmentSet => {
  const set = {
    tasks: new Map<string, Task>(),
    secrets: new Map<string, Secret>(),
    configs: new Map<string, Config>(),
    networks: new Map<string, Network>(),
  }
  for (const task of view.tasksByNode(nodeId)) {
    if (compareTaskStates(task.Status.State, 'assigned') < 0) continue
    set.tasks.set(task.ID, task)
    if (isTerminal(task.Status.State)) continue
    for (const { SecretID } of task.Spec.ContainerSpec?.Secrets ?? []) {
      const secret = view.get('secret', SecretID)
      if (secret !== undefined) set.secrets.set(SecretID, secret)
    }
    for (const { ConfigID } of task.Spec.ContainerSpec?.Configs ?? []) {
      const config = view.get('config', ConfigID)
      if (config !== undefined) set.configs.set(ConfigID, config)
    }
    for (const { Network } of task.NetworksAttachments ?? []) {
      const network = view.get('network', Network.ID)
      if (network !== undefined) set.networks.set(network.ID, network)
    }
  }
  return set
}

/** The status is the node's own word, so a change of it alone is no news to the node. */
const sameTask = (a: Task, b: Task): boolean =>
  a.DesiredState === b.DesiredState &&
  isDeepStrictEqual(a.Spec, b.Spec) &&
  isDeepStrictEqual(a.NetworksAttachments, b.NetworksAttachments) &&
  isDeepStrictEqual(a.Swarmctl, b.Swarmctl)

const sameVersion = (
  a: { Version: { Index: number } },
  b: { Version: { Index: number } },
): boolean => a.Version.Index === b.Version.Index

const diff = <V>(
  old: ReadonlyMap<string, V>,
  wanted: ReadonlyMap<string, V>,
  same: (a: V, b: V) => boolean,
): { put: V[]; remove: string[] } => ({
  put: [...wanted]
    .filter(([id, value]) => {
      const before = old.get(id)
      return before === undefined || (before !== value && !same(before, value))
    })
    .map(([, value]) => value),
  remove: [...old.keys()].filter((id) => !wanted.has(id)),
})

/** The content of the message that brings a node from `old` to `wanted`, or undefined when it knows all. */
export const diffAssignments = (
  old: AssignmentSet,
  wanted: AssignmentSet,
): Pick<AssignmentsMessage, 'tasks' | 'secrets' | 'configs' | 'networks'> | undefined => {
  const change = {
    tasks: diff(old.tasks, wanted.tasks, sameTask),
    secrets: diff(old.secrets, wanted.secrets, sameVersion),
    configs: diff(old.configs, wanted.configs, sameVersion),
    networks: diff(old.networks, wanted.networks, sameVersion),
  }
  const isEmpty = Object.values(change).every(
    ({ put, remove }) => put.length === 0 && remove.length === 0,
  )
  return isEmpty ? undefined : change
}
