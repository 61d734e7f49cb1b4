import {
  type Constraint,
  formatConstraint,
  normalArchitecture,
  parseConstraint,
  unmetConstraint,
} from '../../api/constraint.ts'
import { hasPlatform } from '../../api/platform.ts'
import type { Task } from '../../api/task.ts'
import { claimGeneric, wantsGeneric } from './generic-resources.ts'
import {
  hasCpus,
  hasMemory,
  hostPortsOf,
  hostPortText,
  isHostPortTaken,
  type NodeInfo,
  serviceTaskCount,
} from './node-info.ts'

/** One reason why a task can't run on a node. */
export interface Filter {
  /** What it looks at, as placement tables name it. */
  name:
    | 'state'
    | 'engine'
    | 'constraint'
    | 'platform'
    | 'plugin'
    | 'resources'
    | 'host port'
    | 'max replicas'
  /** Whether the node passes for this task. */
  check(task: Task, info: NodeInfo): boolean
  /** Why it does not; only asked after `check` said no. */
  explain(task: Task, info: NodeInfo): string
}

const ready: Filter = {
  name: 'state',
  check: (_task, { node }) => node.Status.State === 'ready' && node.Spec.Availability === 'active',
  explain: (_task, { node }) =>
    node.Status.State === 'ready'
      ? `availability is ${node.Spec.Availability}`
      : `is ${node.Status.State}`,
}

const engine: Filter = {
  name: 'engine',
  check: (_task, { node }) => node.Description.Swarmctl.EngineError === '',
  explain: (_task, { node }) => `Docker Engine: ${node.Description.Swarmctl.EngineError}`,
}

/** A group of equal tasks is checked against many nodes: its constraints are parsed once. */
const parsed = new WeakMap<Task['Spec'], Constraint[] | string>()

const constraintsOf = (task: Task): Constraint[] | string => {
  let constraints = parsed.get(task.Spec)
  if (constraints === undefined) {
    const expressions = task.Spec.Placement?.Constraints ?? []
    try {
      constraints = expressions.map(parseConstraint)
    } catch {
      constraints = `constraint ${expressions.join(', ')} is invalid`
    }
    parsed.set(task.Spec, constraints)
  }
  return constraints
}

const constraint: Filter = {
  name: 'constraint',
  check: (task, { node }) => {
    const constraints = constraintsOf(task)
    return typeof constraints !== 'string' && unmetConstraint(constraints, node) === undefined
  },
  explain: (task, { node }) => {
    const constraints = constraintsOf(task)
    if (typeof constraints === 'string') return constraints
    const unmet = unmetConstraint(constraints, node)
    return `constraint ${unmet === undefined ? '' : formatConstraint(unmet)} not met`
  },
}

const platform: Filter = {
  name: 'platform',
  check: (task, { node }) => hasPlatform(task.Spec, node),
  explain: (_task, { node }) =>
    `unsupported platform ${node.Description.Platform.OS}/${normalArchitecture(node.Description.Platform.Architecture)}`,
}

/** Drivers of volumes and logs that come as plugins, those that every Engine has are left out. */
const pluginsOf = ({ Spec }: Task): { Type: string; Name: string }[] => {
  const volumes = (Spec.ContainerSpec?.Mounts ?? [])
    .filter(({ Type }) => Type === 'volume')
    .map(({ VolumeOptions }) => ({
      Type: 'Volume',
      Name: VolumeOptions?.DriverConfig?.Name ?? '',
    }))
  const all = [...volumes, { Type: 'Log', Name: Spec.LogDriver?.Name ?? '' }]
  return all.filter(({ Name }) => Name !== '' && Name !== 'local' && Name !== 'none')
}

/** An Engine that lists no plugin of a type does not tell which it has: it may have any. */
const missingPlugins = (task: Task, { node }: NodeInfo): string[] => {
  const present = node.Description.Engine.Plugins
  return pluginsOf(task)
    .filter(({ Type, Name }) => {
      const names = present.filter((plugin) => plugin.Type === Type).map((plugin) => plugin.Name)
      return names.length > 0 && !names.includes(Name) && !names.includes(`${Name}:latest`)
    })
    .map(({ Name }) => Name)
}

const plugin: Filter = {
  name: 'plugin',
  check: (task, info) => missingPlugins(task, info).length === 0,
  explain: (task, info) => `missing plugin ${missingPlugins(task, info).join(', ')}`,
}

const missingResources = (task: Task, info: NodeInfo): string[] => {
  const missing: string[] = []
  if (!hasCpus(info, task)) missing.push('CPU')
  if (!hasMemory(info, task)) missing.push('memory')
  if (wantsGeneric(task) && claimGeneric(info.freeGeneric, task) === undefined) {
    missing.push('generic resources')
  }
  return missing
}

const resources: Filter = {
  name: 'resources',
  check: (task, info) => missingResources(task, info).length === 0,
  explain: (task, info) => `insufficient ${missingResources(task, info).join(' and ')}`,
}

const hostPort: Filter = {
  name: 'host port',
  check: (task, info) => !hostPortsOf(task).some((port) => isHostPortTaken(info, port)),
  explain: (task, info) => {
    const used = hostPortsOf(task)
      .filter((port) => isHostPortTaken(info, port))
      .map(hostPortText)
    return `host-mode port ${used.join(', ')} already in use`
  },
}

const maxReplicas: Filter = {
  name: 'max replicas',
  check: (task, info) => {
    const max = task.Spec.Placement?.MaxReplicas ?? 0
    return max === 0 || serviceTaskCount(info, task.ServiceID) < max
  },
  explain: (task) => `max replicas per node (${task.Spec.Placement?.MaxReplicas}) reached`,
}

/** Depend on the node and the task's spec alone: the same for all tasks of one version of a service. */
export const STATIC_FILTERS: readonly Filter[] = [ready, engine, constraint, platform, plugin]

/** Change with every task that is placed. */
export const DYNAMIC_FILTERS: readonly Filter[] = [resources, hostPort, maxReplicas]

export const passes = (filters: readonly Filter[], task: Task, info: NodeInfo): boolean =>
  filters.every((filter) => filter.check(task, info))

/** The first reason against the node, undefined when there is none. */
export const objection = (task: Task, info: NodeInfo): string | undefined =>
  [...STATIC_FILTERS, ...DYNAMIC_FILTERS]
    .find((filter) => !filter.check(task, info))
    ?.explain(task, info)

/** All reasons against the node. */
export const objections = (
  task: Task,
  info: NodeInfo,
): { Filter: Filter['name']; Reason: string }[] =>
  [...STATIC_FILTERS, ...DYNAMIC_FILTERS]
    .filter((filter) => !filter.check(task, info))
    .map((filter) => ({ Filter: filter.name, Reason: filter.explain(task, info) }))

/** Why no node would do, e.g. `no suitable node (2 nodes: insufficient memory; node h3: is down)`. */
export const explainUnplaced = (task: Task, infos: readonly NodeInfo[]): string => {
  if (infos.length === 0) return 'no suitable node (the cluster has none)'
  const byReason = Map.groupBy(infos, (info) => objection(task, info) ?? 'no objection')
  const reasons = [...byReason]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([reason, nodes]) => `${nameNodes(nodes)}: ${reason}`)
  return `no suitable node (${reasons.join('; ')})`
}

const nameNodes = (infos: readonly NodeInfo[]): string => {
  const [first] = infos
  return infos.length === 1 && first !== undefined
    ? `node ${first.node.Description.Hostname || first.node.ID}`
    : `${infos.length} nodes`
}
