import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LogMessage, LogsRequest } from '../api/assignment.ts'
import type {
  AttachedEndpoint,
  AttachmentWish,
  GrantedAttachment,
} from '../api/attachment-grant.ts'
import type { AutoscaleReport } from '../api/autoscale.ts'
import type { ContainerCall, ContainerExchange } from '../api/container-call.ts'
import type { ObjectChange } from '../api/object.ts'
import type { InitRequest, JoinRequest, Restored, RestoreRequest } from '../api/swarm.ts'
import type { ClusterUsage } from '../api/usage.ts'
import type { Control } from '../manager/control/control.ts'
import type { ApiVersions } from './api-version.ts'

/** `docker info`'s and `/_ping`'s words for this node's membership. */
export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked'

/** What the surface shows of this node's membership. */
export interface NodeStatus {
  localNodeState: LocalNodeState
  nodeId: string
  nodeAddr: string
  role: 'worker' | 'manager'
  /** One line when something is wrong, else empty. */
  error: string
  remoteManagers: { NodeID: string; Addr: string }[]
}

/** Who answers for the cluster's state right now. */
export type LeaderRoute =
  | { kind: 'self' }
  /** Another manager leads: the request is forwarded as it is. */
  | { kind: 'forward'; nodeId: string }
  /** Nobody is known to lead, or this node is no manager: `message` is the answer's text (503). */
  | { kind: 'none'; message: string }

/** The containers of this node that are nobody's tasks, on networks of the cluster; the agent implements it. */
export interface NetworkAttachments {
  /**
   * An address on the network, its bridge on this node, until `bind` (of a container that is created) or `refresh` (of one that exists).
   * @throws SwarmctlError, NOT_FOUND when the cluster has no such network
   */
  claim(wish: AttachmentWish): Promise<GrantedAttachment>
  /** The container of a claim exists now. */
  bind(granted: GrantedAttachment, container: { id: string; name: string }): Promise<void>
  release(taskId: string): Promise<void>
  /** Before a container is started: it gets its addresses back, until `refresh`. Undefined when it is on no network of the cluster's. */
  prepareStart(
    reference: string,
  ): Promise<{ id: string; endpoints: AttachedEndpoint[] } | undefined>
  /** A container is about to leave a network, until `refresh`. */
  hold(containerId: string): void
  /** What was begun is over, well or not: resolves when the cluster knows how the container is now. */
  refresh(containerId: string): Promise<void>
}

/** The node as the HTTP surface needs it; the daemon implements it. */
export interface SwarmPort {
  status(): NodeStatus
  /** Waits a bounded time for a leader to be known. */
  route(): Promise<LeaderRoute>
  /** Sends the request to the leader over the cluster port and its answer back, streaming both; `body` stands for a body already read. */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    nodeId: string,
    body?: Buffer,
  ): Promise<void>
  /** Present on managers. */
  control(): Control
  /** Undefined while this node takes no part in a swarm. */
  attachments(): NetworkAttachments | undefined
  init(request: InitRequest): Promise<string>
  join(request: JoinRequest): Promise<void>
  leave(force: boolean): Promise<void>
  unlock(key: string): Promise<void>
  /** All of the cluster's state at one index, sealed with a passphrase. On managers. */
  backup(
    passphrase: string,
  ): Promise<{ clusterId: string; index: number; bytes: AsyncIterable<Uint8Array> }>
  /** Makes this node the only manager of the cluster in a backup. */
  restore(
    request: RestoreRequest,
    passphrase: string,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<Restored>
  /** The leader's view of a task's log. */
  taskLogs(nodeId: string, request: LogsRequest, signal: AbortSignal): AsyncIterable<LogMessage>
  /** On the leader: a call about a task's container, on its node. Throws SwarmctlError. */
  taskContainer(taskId: string, call: ContainerCall): ContainerExchange
  /** On the leader: what every connected node uses now. */
  usage(signal: AbortSignal): Promise<ClusterUsage>
  /** On the leader: what its autoscaler saw and did last; undefined while it has not looked at the service. */
  autoscaleReport(serviceId: string): AutoscaleReport | undefined
  /**
   * Changes of the applied state, for `/events` and followed logs; returns the unsubscriber, or undefined while this node has no state, or not the present one yet. `onOver`: no
   * more will come, since the node is no manager any more or begins anew as one.
   */
  watch(run: (changes: ObjectChange[]) => void, onOver: () => void): (() => void) | undefined
}

/** The local Docker Engine, as an HTTP server behind a socket. */
export interface EnginePort {
  /** `{ socketPath }` or `{ host, port }`, for node:http and node:net. */
  address(): { socketPath: string } | { host: string; port: number }
  /** The Engine's API versions; the last ones known while it is down. */
  apiVersions(): Promise<ApiVersions>
}
