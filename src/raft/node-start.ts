// What a node knows when it starts: log and state are read and brought together.

import type { CoreStart } from './core.ts'
import { createEntry } from './entry.ts'
import { StorageCorruptError } from './errors.ts'
import { EMPTY_MEMBERSHIP, type RaftNodeId } from './membership.ts'
import { encodeMembershipCommand } from './membership-codec.ts'
import type { SnapshotMeta } from './message.ts'
import type { StateStorage } from './state-port.ts'
import type { Wal, WalContents } from './wal-port.ts'

/** A member of a new cluster. */
export interface InitialVoter {
  readonly id: RaftNodeId
  readonly context: Uint8Array
}

type Stored = Pick<CoreStart, 'hardState' | 'base' | 'entries' | 'applied' | 'membership'>

/** Reads log and state; in an empty directory the given voters begin a new cluster. */
export async function openStorage(
  wal: Wal,
  state: StateStorage,
  voters: readonly InitialVoter[] | undefined,
): Promise<Stored> {
  const contents = await wal.open()
  const stored = await state.open()
  const isFirst = contents.isNew && stored === null && voters !== undefined
  return reconcile(wal, isFirst ? await bootstrap(wal, voters) : contents, stored)
}

/** Writes the first entry of a new cluster: every initial voter writes the same, as committed. */
async function bootstrap(wal: Wal, voters: readonly InitialVoter[]): Promise<WalContents> {
  const changes = voters.map(({ id, context }) => ({ kind: 'add-voter', id, context }) as const)
  const data = encodeMembershipCommand({ kind: 'change', changes })
  const entries = [createEntry({ index: 1, term: 1 }, 'membership', data)]
  const hardState = { term: 1, vote: null, commit: 1 }
  await wal.append({ hardState, reset: null, entries })
  return { hardState, base: { index: 0, term: 0 }, entries, isNew: false }
}

/**
 * Brings the log and the stored state together. A snapshot's state is stored before the log says so; if
 * the node crashed in between, then the log is older than the state and begins anew after it.
 */
async function reconcile(
  wal: Wal,
  contents: WalContents,
  stored: SnapshotMeta | null,
): Promise<Stored> {
  const { base, entries } = contents
  const last = entries.at(-1) ?? base
  const hardState = {
    ...contents.hardState,
    commit: Math.min(contents.hardState.commit, last.index),
  }
  if (stored === null) {
    if (base.index > 0)
      throw new StorageCorruptError('the state is gone, and the log begins after it')
    return { hardState, base, entries, applied: 0, membership: EMPTY_MEMBERSHIP }
  }
  if (contents.isNew) throw new StorageCorruptError('the log is gone, but the state is there')
  if (base.index > stored.index)
    throw new StorageCorruptError('the log lacks what follows the state')
  const { index, term, membership } = stored
  const known = index === base.index ? base.term : entries[index - base.index - 1]?.term
  if (known === term) return { hardState, base, entries, applied: index, membership }
  const reset = { index, term }
  const raised = { ...hardState, commit: index, ...raisedTerm(hardState, term) }
  await wal.append({ hardState: raised, reset, entries: [] })
  return { hardState: raised, base: reset, entries: [], applied: index, membership }
}

function raisedTerm(
  hardState: { term: number; vote: RaftNodeId | null },
  term: number,
): { term: number; vote: RaftNodeId | null } {
  return term > hardState.term ? { term, vote: null } : hardState
}
