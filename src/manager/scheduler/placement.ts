import type { PlacementRow } from '../../api/placement.ts'
import type { Task } from '../../api/task.ts'
import { objections } from './filter.ts'
import { failureKey, serviceTaskCount } from './node-info.ts'
import { nodeInfosOf, type SchedulerSnapshot } from './schedule.ts'

/** What each node says to a further task like `task`: the scheduler's own filters, by host name. */
export const placementRows = (snapshot: SchedulerSnapshot, task: Task): PlacementRow[] =>
  [...nodeInfosOf(snapshot).values()]
    .map((info) => ({
      NodeID: info.node.ID,
      Hostname: info.node.Description.Hostname,
      Tasks: serviceTaskCount(info, task.ServiceID),
      RecentFailures: info.failureCounts.get(failureKey(task)) ?? 0,
      ReservedNanoCPUs: info.reservedNanoCpus,
      ReservedMemoryBytes: info.reservedMemoryBytes,
      NanoCPUs: info.node.Description.Resources.NanoCPUs,
      MemoryBytes: info.node.Description.Resources.MemoryBytes,
      Refusals: objections(task, info),
    }))
    .sort((a, b) => a.Hostname.localeCompare(b.Hostname, 'en', { numeric: true }))
