import type { Meta } from './meta.ts'
import type { Network } from './network.ts'
import type { EndpointSpec, GenericResource, PortConfig, TaskSpec } from './service-spec.ts'
import type { TaskState } from './task-state.ts'

/** A task's address on one network. */
export interface NetworkAttachment {
  Network: Network
  /** CIDR, e.g. `10.0.3.7/16`; empty for host, bridge and none. */
  Addresses: string[]
  Aliases?: string[]
}

export interface ContainerStatus {
  ContainerID: string
  PID: number
  ExitCode: number
}

/** What the task's node observed last. */
export interface TaskStatus {
  Timestamp: string
  State: TaskState
  Message: string
  Err?: string
  ContainerStatus?: ContainerStatus
  /** Host-mode ports as bound on the node. */
  PortStatus?: { Ports?: PortConfig[] }
}

/** One slot's (or node's) incarnation: an immutable copy of the spec, and how far it got. */
export interface Task extends Meta {
  Labels: Record<string, string>
  Spec: TaskSpec
  ServiceID: string
  /** 1-based for replicated services, absent for global ones. */
  Slot?: number
  /** Empty until scheduled. */
  NodeID: string
  Status: TaskStatus
  DesiredState: TaskState
  NetworksAttachments?: NetworkAttachment[]
  JobIteration?: { Index: number }
  /** Those of its node that are its own until it ends. */
  GenericResources?: GenericResource[]
  Swarmctl: {
    /** The service's `Swarmctl.SpecVersion` that this task was made from. */
    SpecVersion: number
    ServiceName: string
    ServiceLabels: Record<string, string>
    /** The service's endpoint spec with allocated ports. */
    Endpoint: EndpointSpec
    /** Nanoseconds to drain established connections before the stop signal. */
    DrainLimit: number
    /** RFC 3339: a task with desired state `ready` may be moved to `running` from then on (restart delay). */
    StartAt?: string
    /** Of an attachment: the name of its container, which others on its networks find it by. */
    ContainerName?: string
  }
}
