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
  const UpdatedAt = timeText(updatedMs)
  const CreatedAt = timeText(createdMs)
  const result = { ...object, Version: { Index: index }, CreatedAt, UpdatedAt }
  stampSpecVersion(result as WithSpecVersion, index)
  return result
}

/** The last one: many transactions are of the same millisecond, and to put a time into words costs more than the rest of a stamp. */
let last = { ms: Number.NaN, text: '' }

const timeText = (ms: number): string => {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() }
  return last.text
}

interface WithSpecVersion {
  Swarmctl?: { SpecVersion?: number }
}

/** A proposer can't know the index that its command will get. */
const stampSpecVersion = (object: WithSpecVersion, index: number): void => {
  if (object.Swarmctl?.SpecVersion !== THIS_TRANSACTION) return
  object.Swarmctl = { ...object.Swarmctl, SpecVersion: index }
}
