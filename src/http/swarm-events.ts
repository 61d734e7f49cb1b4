import type { Filters } from '../api/filters.ts'
import type { ObjectChange } from '../api/object.ts'
import type { Service } from '../api/service.ts'

/** One `/events` message of the swarm's scope. */
export interface SwarmEvent {
  Type: 'node' | 'service' | 'network' | 'secret' | 'config'
  Action: 'create' | 'update' | 'remove'
  Actor: { ID: string; Attributes: Record<string, string> }
  scope: 'swarm'
  time: number
  timeNano: number
}

const oldAndNew = (
  key: string,
  old: string | undefined,
  now: string | undefined,
): [string, string][] =>
  old === now
    ? []
    : ([
        [`${key}.old`, old ?? ''],
        [`${key}.new`, now ?? ''],
      ] as [string, string][])

const serviceAttributes = (service: Service, old: Service | undefined): [string, string][] => [
  ['name', service.Spec.Name],
  ...(old
    ? [
        ...oldAndNew(
          'image',
          old.Spec.TaskTemplate.ContainerSpec?.Image,
          service.Spec.TaskTemplate.ContainerSpec?.Image,
        ),
        ...oldAndNew(
          'replicas',
          old.Spec.Mode?.Replicated?.Replicas?.toString(),
          service.Spec.Mode?.Replicated?.Replicas?.toString(),
        ),
        ...oldAndNew('updatestate', old.UpdateStatus?.State, service.UpdateStatus?.State),
      ]
    : []),
]

const attributes = (change: ObjectChange): [string, string][] => {
  switch (change.kind) {
    case 'service':
      return serviceAttributes((change.object ?? change.old)!, change.object && change.old)
    case 'node': {
      const node = (change.object ?? change.old)!
      const old = change.object ? change.old : undefined
      return [
        ['name', node.Description.Hostname],
        ...(old
          ? [
              ...oldAndNew('state', old.Status.State, node.Status.State),
              ...oldAndNew('availability', old.Spec.Availability, node.Spec.Availability),
              ...oldAndNew('role', old.Spec.Role, node.Spec.Role),
              ...oldAndNew(
                'leader',
                String(old.ManagerStatus?.Leader ?? false),
                String(node.ManagerStatus?.Leader ?? false),
              ),
              ...oldAndNew(
                'reachability',
                old.ManagerStatus?.Reachability,
                node.ManagerStatus?.Reachability,
              ),
            ]
          : []),
      ]
    }
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

/** Whether `/events` filters let a swarm event through: values of a key OR, keys AND. */
export const eventMatches = (event: SwarmEvent, filters: Filters): boolean =>
  Object.entries(filters).every(([key, values]) => {
    switch (key) {
      case 'type':
        return values.includes(event.Type)
      case 'event':
        return values.includes(event.Action)
      case 'scope':
        return values.includes('swarm')
      case event.Type:
        return values.some((v) => v === event.Actor.ID || v === event.Actor.Attributes.name)
      default:
        return false
    }
  })
