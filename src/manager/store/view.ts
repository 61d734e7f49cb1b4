import type { Kind, ObjectByKind } from '../../api/object.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import type { NamedKind } from './claims.ts'

/**
 * The applied state, read synchronously. A view is live: it is consistent until the reader's next `await` and not longer.
 * Objects in it are frozen; a change is a copy that goes through a transaction.
 */
export interface View {
  /** Log index of the last applied command. */
  readonly index: number
  get<K extends Kind>(kind: K, id: string): ObjectByKind[K] | undefined
  /** In order of creation since this manager's state was loaded. */
  list<K extends Kind>(kind: K): ObjectByKind[K][]
  /** Without regard to case. */
  byName<K extends NamedKind>(kind: K, name: string): ObjectByKind[K] | undefined
  tasksByService(serviceId: string): Task[]
  tasksByNode(nodeId: string): Task[]
  tasksBySlot(serviceId: string, slot: number): Task[]
  cluster(): Cluster | undefined
  /** `kind/id` of the object that holds a claim (`claims.ts`). */
  claimOwner(scope: string, key: string | number): string | undefined
  /**
   * Grows with each release of a claim that was held before; undefined when it was never held or that is forgotten. This manager's own
   * memory, not replicated: only to prefer addresses that have been free for long.
   */
  releasedOrder(scope: string, key: string | number): number | undefined
}
