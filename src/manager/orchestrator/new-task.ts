import { DRAIN_LIMIT_NS } from '../../api/defaults.ts'
import type { NewId } from '../../api/id.ts'
import type { Service } from '../../api/service.ts'
import type { EndpointSpec, TaskSpec } from '../../api/service-spec.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'

/** What a new task is made from. */
export interface TaskOrigin {
  service: Service
  cluster: Cluster | undefined
  newId: NewId
  nowMs: number
}

/** Which of a service's tasks it is: a numbered slot, or the one of a node. */
export type Seat = { slot: number; nodeId?: undefined } | { nodeId: string; slot?: undefined }

/** The spec that the service's tasks get: its template with what the service and the cluster add. */
export const taskSpecOf = (service: Service, cluster: Cluster | undefined): TaskSpec => {
  const template = service.Spec.TaskTemplate
  const networks = template.Networks ?? service.Spec.Networks
  const logDriver = template.LogDriver ?? cluster?.Spec.TaskDefaults?.LogDriver
  return {
    ...template,
    ...(networks === undefined ? {} : { Networks: networks }),
    ...(logDriver === undefined ? {} : { LogDriver: logDriver }),
  }
}

/** The service's endpoint spec with the port numbers that are allocated so far. */
export const taskEndpointOf = (service: Service): EndpointSpec => {
  const spec = service.Spec.EndpointSpec ?? {}
  const ports = service.Endpoint.Ports ?? spec.Ports
  return { Mode: spec.Mode ?? 'vip', ...(ports === undefined ? {} : { Ports: ports }) }
}

/** A task in state `new` for one seat of the service. */
export const newTask = (
  origin: TaskOrigin,
  seat: Seat,
  desired: 'ready' | 'running' | 'complete',
  startAtMs = 0,
): Task => {
  const { service, cluster, nowMs } = origin
  const now = new Date(nowMs).toISOString()
  const isDelayed = startAtMs > nowMs
  const iteration = service.JobStatus?.JobIteration ?? { Index: 0 }
  return {
    ID: origin.newId(),
    Version: { Index: 0 },
    CreatedAt: now,
    UpdatedAt: now,
    Labels: {},
    Spec: taskSpecOf(service, cluster),
    ServiceID: service.ID,
    ...(seat.slot === undefined ? {} : { Slot: seat.slot }),
    NodeID: seat.nodeId ?? '',
    Status: { Timestamp: now, State: 'new', Message: 'created' },
    DesiredState: desired,
    ...(desired === 'complete' ? { JobIteration: iteration } : {}),
    Swarmctl: {
      SpecVersion: service.Swarmctl.SpecVersion,
      ServiceName: service.Spec.Name,
      ServiceLabels: service.Spec.Labels,
      Endpoint: taskEndpointOf(service),
      DrainLimit: service.Spec.Swarmctl?.DrainLimit ?? DRAIN_LIMIT_NS,
      ...(isDelayed ? { StartAt: new Date(startAtMs).toISOString() } : {}),
    },
  }
}
