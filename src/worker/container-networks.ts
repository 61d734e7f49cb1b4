import type { AttachedEndpoint } from '../api/attachment-grant.ts'

/** A container that is no task's and was put on networks of the cluster, whether it runs or not. */
export interface AttachedContainer {
  id: string
  /** Without its slash. */
  name: string
  /** `up` includes paused and about to be restarted by its policy; `created`: never started. */
  phase: 'created' | 'up' | 'ended'
  endpoints: AttachedEndpoint[]
  /** Of its first process; 0 while it has none. */
  pid: number
}

/** The Engine's containers and networks as far as attachments need them. Rejects as `Executor` does. */
export interface ContainerNetworks {
  /** Every container with such endpoints. */
  list(): Promise<AttachedContainer[]>
  /** By id or name; undefined when there is none. One without endpoints of ours has none here. */
  inspect(reference: string): Promise<AttachedContainer | undefined>
  /** Whether the endpoint is on the bridge of this name that exists now, not on one that was removed and made anew. */
  isCurrent(containerId: string, dockerNetwork: string): Promise<boolean>
  connect(containerId: string, endpoint: AttachedEndpoint): Promise<void>
  /** Also when the container is not connected. */
  disconnect(containerId: string, dockerNetwork: string): Promise<void>
}
