// What is in the log comes to the state machine, or is told to be nothing that it can read.

import type { Entry } from './entry.ts'
import { StorageUnreadableError } from './errors.ts'
import { decodeMembershipCommand } from './membership-codec.ts'
import type { Applied, StateMachine } from './node-ports.ts'

/** What an entry gives; undefined for those that are Raft's own. Throws StorageUnreadableError, and what the state machine throws. */
export function applyEntry(machine: StateMachine, entry: Entry): Applied | undefined {
  if (entry.kind !== 'command') {
    checkEntry(machine, entry)
    return undefined
  }
  try {
    return machine.apply(entry.index, entry.data)
  } catch (error) {
    checkEntry(machine, entry)
    throw error
  }
}

/** Throws StorageUnreadableError when nobody here could apply the entry: another version wrote it. */
export function checkEntry(machine: Pick<StateMachine, 'check'>, entry: Entry): void {
  const { kind, index, data } = entry
  try {
    if (kind === 'command') machine.check(data)
    if (kind === 'membership') decodeMembershipCommand(data)
  } catch (cause) {
    throw new StorageUnreadableError(`entry ${index} of the log`, cause)
  }
}
