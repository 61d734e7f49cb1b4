// What nodes and tasks use at a moment, as counters: who asks twice computes rates.

/** Body of the rpc stream `agent.usage`, which answers with one `NodeUsage`. */
export interface UsageRequest {
  /** The only tasks that are asked about; absent: all that run. */
  tasks?: readonly string[]
}

/** One task's container. */
export interface TaskUsage {
  TaskID: string
  /** CPU time since the container began, nanoseconds. */
  CPUTotal: number
  /** Bytes, without what the kernel can take back at once (inactive page cache), as `docker stats`. */
  Memory: number
  MemoryLimit: number
  /** Bytes since the container began. */
  NetworkReceived: number
  NetworkSent: number
  DiskRead: number
  DiskWritten: number
  PIDs: number
}

/** A node, and its tasks that run. */
export interface NodeUsage {
  NodeID: string
  /** Milliseconds of the node's own monotonic clock. */
  AtMs: number
  CPUs: number
  /** CPU time that was spent since boot by all CPUs, nanoseconds. */
  CPUTotal: number
  Memory: number
  MemoryTotal: number
  /** Load averages over 1, 5 and 15 minutes. */
  Load: [number, number, number]
  Tasks: TaskUsage[]
  /** Why tasks are missing, empty otherwise. */
  Error: string
}

/** `GET /swarmctl/usage`: every connected node. */
export interface ClusterUsage {
  Nodes: NodeUsage[]
}
