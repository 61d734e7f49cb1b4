import { type Filters, matchesAny, matchesLabels, matchesPrefix } from '../api/filters.ts'
import type { Node } from '../api/node.ts'
import type { ObjectChange } from '../api/object.ts'
import type { Service } from '../api/service.ts'
import type { ServiceSpec } from '../api/service-spec.ts'

/** One `/events` message of the swarm's scope. */
export interface SwarmEvent {
  Type: 'node' | 'service' | 'network' | 'secret' | 'config'
  Action: 'create' | 'update' | 'remove'
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: 'swarm'
  time: number
  timeNano: number
}

/** A key that was not there before, or is not any more, has one of both. */
const oldAndNew = (
  key: string,
  old: string | undefined,
  now: string | undefined,
): [string, string][] => {
  if (old === now) return []
  const pairs: [string, string | undefined][] = [
    [`${key}.old`, old],
    [`${key}.new`, now],
  ]
  return pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)
}

const serviceAttributes = (service: Service, old: Service | undefined): [string, string][] => {
  const name: [string, string] = ['name', service.Spec.Name]
  if (old === undefined) return [name]
  const { Spec, UpdateStatus } = service
  const imageOf = ({ TaskTemplate }: ServiceSpec) => TaskTemplate.ContainerSpec?.Image
  const replicasOf = ({ Mode }: ServiceSpec) => Mode?.Replicated?.Replicas?.toString()
  return [
    name,
    ...oldAndNew('image', imageOf(old.Spec), imageOf(Spec)),
    ...oldAndNew('replicas', replicasOf(old.Spec), replicasOf(Spec)),
    // That a new spec ends an update is no state of the next one.
    ...(UpdateStatus ? oldAndNew('updatestate', old.UpdateStatus?.State, UpdateStatus.State) : []),
  ]
}

const nodeAttributes = (node: Node, old: Node | undefined): [string, string][] => {
  const name: [string, string] = ['name', node.Spec.Name || node.Description.Hostname]
  if (old === undefined) return [name]
  const [before, now] = [old.ManagerStatus, node.ManagerStatus]
  return [
    name,
    ...oldAndNew('state', old.Status.State, node.Status.State),
    ...oldAndNew('availability', old.Spec.Availability, node.Spec.Availability),
    // The role that it has: the wanted one comes before.
    ...oldAndNew('role', old.Swarmctl.ObservedRole, node.Swarmctl.ObservedRole),
    // A node that becomes a manager, or is none any more, tells that by its role.
    ...(before && now
      ? [
          ...oldAndNew('leader', String(before.Leader ?? false), String(now.Leader ?? false)),
          ...oldAndNew('reachability', before.Reachability, now.Reachability),
        ]
      : []),
  ]
}

const attributes = (change: ObjectChange): [string, string][] => {
  switch (change.kind) {
    case 'service':
      return serviceAttributes((change.object ?? change.old)!, change.object && change.old)
    case 'node':
      return nodeAttributes((change.object ?? change.old)!, change.object && change.old)
    case 'network':
    case 'secret':
    case 'config':
      return [['name', (change.object ?? change.old)!.Spec.Name]]
    case 'task':
    case 'cluster':
      return []
    default:
      return change satisfies never
  }
}

/** The event of a change, or none: tasks emit none, as in Swarm. */
export const swarmEvent = (change: ObjectChange, nowMs: number): SwarmEvent | undefined => {
  if (change.kind === 'task' || change.kind === 'cluster') return undefined
  return {
    Type: change.kind,
    Action: change.action,
    Actor: {
      ID: (change.object ?? change.old)!.ID,
      Attributes: Object.fromEntries(attributes(change)),
    },
    scope: 'swarm',
    time: Math.floor(nowMs / 1000),
    timeNano: nowMs * 1_000_000,
  }
}

/** Filters by what has an id and a name. */
const NAMING_KEYS = [
  'daemon',
  'container',
  'plugin',
  'volume',
  'network',
  'node',
  'service',
  'secret',
  'config',
] as const

/**
 * Whether `/events` filters let a swarm event through, as the Engine's own let its (moby `daemon/events/filter.go`): a key that names objects
 * is held against each event's id and name, of which it may be the beginning; keys that nobody knows are passed over.
 */
export const eventMatches = (
  { Type, Action, Actor, scope }: SwarmEvent,
  filters: Filters,
): boolean =>
  matchesAny(filters.type, Type) &&
  matchesAny(filters.event, Action) &&
  matchesAny(filters.scope, scope) &&
  matchesAny(filters.image, Actor.ID) &&
  matchesLabels(filters.label, Actor.Attributes) &&
  NAMING_KEYS.every(
    (key) =>
      matchesPrefix(filters[key], Actor.ID) ||
      matchesPrefix(filters[key], Actor.Attributes.name ?? ''),
  )
