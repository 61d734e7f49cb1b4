import type { Autoscaled } from './autoscale.ts'
import type { Meta } from './meta.ts'
import type { ScheduleStatus } from './schedule.ts'
import type { EndpointSpec, PortConfig, ServiceSpec } from './service-spec.ts'

/** A service's allocated endpoint: its virtual addresses, one per VIP network, and its ports with numbers. */
export interface Endpoint {
  Spec: EndpointSpec
  Ports?: PortConfig[]
  /** `Addr` is CIDR, e.g. `10.0.0.5/16`. */
  VirtualIPs?: { NetworkID: string; Addr: string }[]
}

/** Where a rolling update or rollback stands (Engine API names). */
export interface UpdateStatus {
  State:
    | 'updating'
    | 'paused'
    | 'completed'
    | 'rollback_started'
    | 'rollback_paused'
    | 'rollback_completed'
  StartedAt?: string
  CompletedAt?: string
  Message?: string
}

/** A service as stored and as the Engine API shows it. */
export interface Service extends Meta {
  Spec: ServiceSpec
  PreviousSpec?: ServiceSpec
  Endpoint: Endpoint
  UpdateStatus?: UpdateStatus
  /** A job's last run. One that runs by a schedule and has not yet has no `LastExecution`. */
  JobStatus?: { JobIteration: { Index: number }; LastExecution?: string }
  /** Only in answers to `?status=true`. */
  ServiceStatus?: { RunningTasks: number; DesiredTasks: number; CompletedTasks: number }
  Swarmctl: {
    /** Version of the last change of `Spec` by a user: what a task was made from, and what an update is checked against. */
    SpecVersion: number
    PreviousSpecVersion?: number
    /** Of a service whose spec has a schedule. */
    ScheduleStatus?: ScheduleStatus
    Autoscaled?: Autoscaled
  }
}
