import type { KindedObject } from './codec.ts'
import { THIS_TRANSACTION } from './this-transaction.ts'

/** What apply adds to an object that a transaction puts; times in milliseconds since the epoch. */
export interface Stamp {
  readonly index: number
  readonly createdMs: number
  readonly updatedMs: number
}

/** The object as everyone sees it. The same from a command and from the state database, to the order of its keys. */
export const stamped = <T extends KindedObject['object']>(object: T, stamp: Stamp): T => {
  const { index, createdMs, updatedMs } = stamp
  const UpdatedAt = new Date(updatedMs).toISOString()
  const CreatedAt = createdMs === updatedMs ? UpdatedAt : new Date(createdMs).toISOString()
  const result = { ...object, Version: { Index: index }, CreatedAt, UpdatedAt }
  stampSpecVersion(result as WithSpecVersion, index)
  return result
}

interface WithSpecVersion {
  Swarmctl?: { SpecVersion?: number }
}

/** A proposer can't know the index that its command will get. */
const stampSpecVersion = (object: WithSpecVersion, index: number): void => {
  if (object.Swarmctl?.SpecVersion !== THIS_TRANSACTION) return
  object.Swarmctl = { ...object.Swarmctl, SpecVersion: index }
}
