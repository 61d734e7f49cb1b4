import type { Config } from './config.ts'
import type { Network } from './network.ts'
import type { DataPlaneKind, NodeDescription } from './node.ts'
import type { OverlayChange } from './overlay-view.ts'
import type { Secret } from './secret.ts'
import type { Task, TaskStatus } from './task.ts'

/**
 * The session between a node's agent and the leader's dispatcher: one bidirectional rpc stream, method `agent.session`, opened by
 * the agent with a `SessionRequest`. A manager that is not the leader answers with one `redirect` and ends the stream.
 */
export interface SessionRequest {
  nodeId: string
  description: NodeDescription
  /** host:port of the node's own cluster port. */
  addr: string
}

/** A manager that agents can reach. */
export interface ManagerAddr {
  nodeId: string
  addr: string
}

/** Who the managers are, as the cluster's state had it at one moment. */
export interface ManagersList {
  managers: ManagerAddr[]
  /** Index of the last change in that state: of two lists the one with the higher index is the newer one. */
  asOf: number
}

/** What the dispatcher sends. */
export type DispatcherMessage =
  | ({
      kind: 'session'
      sessionId: string
      heartbeatPeriodMs: number
      /** The wanted role: when it differs from the certificate's the node renews its certificate. */
      role: 'worker' | 'manager'
      /** This node's number in the address plans. */
      index: number
      /** Whom the node is to trust, PEM: while the root is rotated the old one and the new one. */
      rootCACert: string
    } & ManagersList)
  /** `isPresent`: a majority has confirmed that the sender leads, so the list holds also where it is older than another one, after a restore. */
  | ({ kind: 'managers'; role: 'worker' | 'manager'; isPresent: boolean } & ManagersList)
  /** The root is rotated: whom the node is to trust from now on, PEM. */
  | { kind: 'trust-root'; rootCACert: string }
  /** The node is to renew its certificate now: another root signs. */
  | { kind: 'renew-certificate' }
  /** Heartbeats are to come at another interval from now on. */
  | { kind: 'heartbeat-period'; periodMs: number }
  | ({ kind: 'redirect'; leader?: ManagerAddr } & ManagersList)
  | AssignmentsMessage
  | OverlayMessage
  /** The endpoints of these tasks have left the tables of every live node: they may drain and stop (design §8). */
  | { kind: 'out-of-rotation'; taskIds: string[] }
  /** The node was removed from the cluster (`node rm --force`): clean up and forget it. */
  | { kind: 'removed' }

/** A complete set first, then increments chained by sequence; a gap makes the agent reconnect. */
export interface AssignmentsMessage {
  kind: 'assignments'
  complete: boolean
  sequence: number
  tasks: { put: Task[]; remove: string[] }
  /** With data; only what this node's tasks refer to. Never written to the node's disk. */
  secrets: { put: Secret[]; remove: string[] }
  configs: { put: Config[]; remove: string[] }
  networks: { put: Network[]; remove: string[] }
}

export interface OverlayMessage {
  kind: 'overlay'
  complete: boolean
  /** Monotonic within a session; the agent answers with `overlay-applied` once the node's tables hold it. */
  version: number
  change: OverlayChange
}

/** What the agent sends. */
export type AgentMessage =
  | { kind: 'heartbeat' }
  | { kind: 'task-status'; updates: { taskId: string; status: TaskStatus }[] }
  | { kind: 'overlay-applied'; version: number }
  | { kind: 'description'; description: NodeDescription }

/** Rpc stream method `agent.logs`, opened by a manager on the agent's connection; the agent answers with LogMessages. */
export interface LogsRequest {
  taskId: string
  follow: boolean
  stdout: boolean
  stderr: boolean
  /** Seconds since the epoch with fraction, as the Engine takes it; '' is from the start. */
  since: string
  /** Lines from the end, or `all`. */
  tail: string
  /** Whether to send what the log driver adds to a line; absent: no. */
  details?: boolean
}

export interface LogMessage {
  /** RFC 3339 with nanoseconds. */
  timestamp: string
  stream: 'stdout' | 'stderr'
  /** One line with its newline. */
  data: Uint8Array
  /** What the log driver adds (`labels`, `env`, `tag`): escaped `key=value` joined by commas, as the Engine sends it. Absent: nothing. */
  details?: string
}

export type { DataPlaneKind }
