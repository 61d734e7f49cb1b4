import type { OverlayMessage } from '../api/assignment.ts'
import type { Task } from '../api/task.ts'

/** What a container's create request needs to be on the cluster's networks. */
export interface TaskWiring {
  /** In the order of the task's attachments; the first one is the container's primary network. */
  networks: {
    dockerNetwork: string
    /** Empty: the Engine gives one. */
    ipv4Address: string
    ipv6Address?: string
    aliases: string[]
    /** Of the Engine's driver, on node-local networks alone: an overlay's bridge has none for an endpoint. */
    driverOpts?: Record<string, string>
  }[]
  /** The overlay's server, then the spec's: these three hold what the spec asks for as well. */
  dns: string[]
  dnsSearch: string[]
  dnsOptions: string[]
  /** Further HostConfig fields of the Engine API. */
  hostConfig?: object
}

/** Which TCP ports are to be listened on, and how long that is waited for. */
export interface ListenWait {
  ports: readonly number[]
  limitMs: number
}

/** The node's data plane as the agent uses it; `src/overlay` implements it. */
export interface OverlayPort {
  /** Takes a part of the managers' view; the tables follow as soon as they can. */
  take(message: OverlayMessage): void
  /** Resolves when the node's tables hold all that was taken before the call (then the agent sends `overlay-applied`). */
  held(): Promise<void>
  setSelf(node: { nodeId: string; index: number }): Promise<void>
  /**
   * Before a container is created: the bridges exist. Called for tasks only that need any; again after a restart of the daemon.
   * Rejects with UNAVAILABLE while the tables lack the network: it is called again when they change.
   */
  attach(task: Task): Promise<TaskWiring>
  /**
   * The container of an attached task was there before it: it asks the Engine's resolver, which does not ask us. Until `detach` what it
   * asks is answered by the overlay's server; `pid` is its first process.
   */
  answerFor(taskId: string, pid: number): void
  /** After the container has ended or is gone. */
  detach(taskId: string): Promise<void>
  /** Resolves when the task's established connections ended, were silent for 3 s, or at the limit. Aborting ends it early. */
  drain(task: Task, containerPid: number, limitMs: number, signal: AbortSignal): Promise<void>
  /** Resolves when the task's container accepts connections to all of these TCP ports, has ended, or at the limit. Aborting ends it early. */
  listening(task: Task, containerPid: number, wait: ListenWait, signal: AbortSignal): Promise<void>
  /** The local endpoint went away by itself: drops it from the local table at once. */
  dropEndpoint(taskId: string): void
  close(): Promise<void>
  /** Leave: removes every device, rule and network that it made. */
  destroy(): Promise<void>
}
