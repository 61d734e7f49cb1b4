import type { NewId } from '../../api/id.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import { byCreation } from './task-facts.ts'

/** Everything that planning one service looks at. */
export interface ServiceState {
  service: Service
  /** All tasks of the service, in any state. */
  tasks: readonly Task[]
  /** All nodes, by id. */
  nodes: ReadonlyMap<string, Node>
  /** Nodes that are down but whose tasks are left alone for now (`node-brake.ts`). */
  held: ReadonlySet<string>
  /** Ids of tasks that their node's resources no longer suffice for, with what is missing (`crowding.ts`). */
  crowded: ReadonlyMap<string, string>
  cluster: Cluster | undefined
  nowMs: number
  newId: NewId
}

/** All incarnations of one of the service's tasks: of a numbered slot, or of a node for a global service. */
export interface Slot {
  /** Slot number or node id: unique within the service. */
  key: string
  seat: { slot: number; nodeId?: undefined } | { nodeId: string; slot?: undefined }
  /** Oldest first, without those that are about to be removed. */
  tasks: Task[]
}

/** The slots that have tasks, by key. Tasks with desired state `remove` belong to no slot any more. */
export const groupSlots = (tasks: readonly Task[]): Map<string, Slot> => {
  const slots = new Map<string, Slot>()
  for (const task of tasks) {
    if (task.DesiredState === 'remove') continue
    const seat = task.Slot === undefined ? { nodeId: task.NodeID } : { slot: task.Slot }
    const key = String(seat.slot ?? seat.nodeId)
    const slot = slots.get(key)
    if (slot === undefined) slots.set(key, { key, seat, tasks: [task] })
    else slot.tasks.push(task)
  }
  for (const slot of slots.values()) slot.tasks.sort(byCreation)
  return slots
}
