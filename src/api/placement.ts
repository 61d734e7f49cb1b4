/** A node as the scheduler sees it for one service. */
export interface PlacementRow {
  NodeID: string
  Hostname: string
  /** Wanted tasks of the service that are here. */
  Tasks: number
  /** Its tasks that failed here within the last minutes: many of them make the node the last choice. */
  RecentFailures: number
  /** Reserved by tasks of all services, and what there is. */
  ReservedNanoCPUs: number
  ReservedMemoryBytes: number
  NanoCPUs: number
  MemoryBytes: number
  /** Every filter that says no, in the scheduler's order; none: a further task could run here. */
  Refusals: { Filter: string; Reason: string }[]
}

/** `GET /services/{id}/placement`. */
export interface PlacementTable {
  ServiceID: string
  Nodes: PlacementRow[]
}
