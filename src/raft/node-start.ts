// What a node knows when it starts: log and state are read and brought together.

import { checkEntry } from './apply-entry.ts'
import { sameBytes } from './bytes.ts'
import type { CoreStart } from './core.ts'
import { createEntry } from './entry.ts'
import {
  NothingStoredError,
  StorageCorruptError,
  StorageKeyError,
  StorageUnreadableError,
} from './errors.ts'
import {
  applyMembership,
  EMPTY_MEMBERSHIP,
  type Membership,
  type MembershipCommand,
  memberIds,
  type RaftNodeId,
} from './membership.ts'
import { decodeMembershipCommand, encodeMembershipCommand } from './membership-codec.ts'
import type { SnapshotMeta } from './message.ts'
import type { RaftNodeDeps } from './node-ports.ts'
import type { StateStorage } from './state-port.ts'
import type { Wal, WalContents } from './wal-port.ts'

/** A member of a new cluster. */
export interface InitialVoter {
  readonly id: RaftNodeId
  readonly context: Uint8Array
}

type Stored = Pick<CoreStart, 'hardState' | 'base' | 'entries' | 'applied' | 'membership'>

/** How a cluster begins, if it does not go on. */
export interface Beginning {
  /** In an empty directory they begin a new cluster. */
  readonly initialVoters: readonly InitialVoter[] | undefined
  /** This member goes on alone with what is stored: see {@link forceNewCluster}. */
  readonly survivor: InitialVoter | undefined
}

/** Reads log and state, and begins a cluster if one is to begin. */
export async function openStorage(
  { wal, state, stateMachine }: Pick<RaftNodeDeps, 'wal' | 'state' | 'stateMachine'>,
  { initialVoters, survivor }: Beginning,
): Promise<Stored> {
  const contents = await wal.open()
  const stored = await openState(state, contents)
  const isFirst = contents.isNew && stored === null && initialVoters !== undefined
  const known = await reconcile(
    wal,
    isFirst ? await bootstrap(wal, initialVoters) : contents,
    stored,
  )
  // Before anything is promised: who can't apply what it stored must not become the leader of it.
  for (const entry of known.entries)
    if (entry.index > known.applied) checkEntry(stateMachine, entry)
  return survivor === undefined ? known : forceNewCluster(wal, known, survivor)
}

/** Brings what is stored into use. Throws StorageUnreadableError, StorageCorruptError. */
export async function restoreStored(
  { state, stateMachine }: Pick<RaftNodeDeps, 'state' | 'stateMachine'>,
  applied: number,
): Promise<void> {
  const restore = stateMachine.beginRestore(applied)
  const entries = await state.load()
  try {
    restore.add(entries)
  } catch (cause) {
    throw new StorageUnreadableError('the state', cause)
  }
  await restore.commit(() => Promise.resolve())
}

/** The log opened with the data key, so a state that doesn't is damaged. */
async function openState(state: StateStorage, contents: WalContents): Promise<SnapshotMeta | null> {
  try {
    return await state.open()
  } catch (error) {
    if (error instanceof StorageKeyError && !contents.isNew) {
      throw new StorageCorruptError('the index of the state is damaged', { cause: error })
    }
    throw error
  }
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

/**
 * Disaster recovery, when the majority is lost for good: all of the log counts as committed (what was acknowledged and got
 * here is kept, committed or not as far as this node knew), and entries after it leave this node as the only member. The
 * others' ids end up among the removed ones: they are refused. Done again it changes nothing. Throws NothingStoredError where there is no
 * cluster to go on with.
 */
async function forceNewCluster(wal: Wal, known: Stored, self: InitialVoter): Promise<Stored> {
  const { hardState, base, entries, applied } = known
  const last = entries.at(-1) ?? base
  const unapplied = entries.filter(({ index, kind }) => index > applied && kind === 'membership')
  const membership = unapplied.reduce(
    (before, { data }) => applyMembership(before, decodeMembershipCommand(data)),
    known.membership,
  )
  // A newcomer that waits for its snapshot: it would lead a cluster without anything in it.
  if (memberIds(membership).length === 0) throw new NothingStoredError()
  const commands = survivorCommands(membership, self)
  const term = Math.max(hardState.term, last.term) + (commands.length > 0 ? 1 : 0)
  const added = commands.map((command, at) => {
    const position = { index: last.index + 1 + at, term }
    return createEntry(position, 'membership', encodeMembershipCommand(command))
  })
  const vote = commands.length > 0 ? self.id : hardState.vote
  const forced = { term, vote, commit: last.index + added.length }
  await wal.append({ hardState: forced, reset: null, entries: added })
  return { ...known, hardState: forced, entries: [...entries, ...added] }
}

/** One change after the other: each is small enough to need no joint configuration, whose other half would have to agree. */
function survivorCommands(before: Membership, { id, context }: InitialVoter): MembershipCommand[] {
  const commands: MembershipCommand[] = []
  let membership = before
  const add = (command: MembershipCommand) => {
    commands.push(command)
    membership = applyMembership(membership, command)
  }
  if (membership.outgoing.length > 0) add({ kind: 'leave-joint' })
  if (!memberIds(membership).includes(id)) {
    add({ kind: 'change', changes: [{ kind: 'add-learner', id, context }] })
  }
  const known = membership.contexts.get(id)
  const isKnown = known !== undefined && sameBytes(known, context)
  if (!membership.voters.includes(id) || !isKnown) {
    add({ kind: 'change', changes: [{ kind: 'add-voter', id, context }] })
  }
  for (const other of memberIds(membership)) {
    if (other !== id) add({ kind: 'change', changes: [{ kind: 'remove', id: other }] })
  }
  return commands
}
