import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import type { MemberChange, Membership, MembershipCommand, RaftNodeId } from './membership.ts'

/** The version of both encodings in this file. */
const VERSION = 1
const CHANGE_KINDS = ['add-voter', 'add-learner', 'remove'] as const

/** The data of a membership entry. */
export function encodeMembershipCommand(command: MembershipCommand): Uint8Array {
  const writer = new ByteWriter().u8(VERSION)
  if (command.kind === 'leave-joint') return writer.u32(0).finish()
  writer.u32(command.changes.length)
  for (const change of command.changes) {
    const context = change.kind === 'remove' ? undefined : change.context
    writer
      .u8(CHANGE_KINDS.indexOf(change.kind))
      .text(change.id)
      .bool(context !== undefined)
    if (context !== undefined) writer.blob(context)
  }
  return writer.finish()
}

/** Reads what {@link encodeMembershipCommand} wrote; an empty change is the end of a joint one (§4.3). */
export function decodeMembershipCommand(bytes: Uint8Array): MembershipCommand {
  const reader = versioned(bytes)
  const count = reader.u32()
  if (count === 0) return { kind: 'leave-joint' }
  const changes: MemberChange[] = []
  for (let i = 0; i < count; i += 1) {
    const kind = CHANGE_KINDS[reader.u8()]
    if (kind === undefined) throw new DecodeError('unknown kind of membership change')
    const id = reader.text()
    const context = reader.bool() ? reader.blob() : undefined
    changes.push(kind === 'remove' || context === undefined ? { kind, id } : { kind, id, context })
  }
  return { kind: 'change', changes }
}

/** A whole membership, as it stands beside the applied index in the state and in a snapshot. */
export function encodeMembership(membership: Membership): Uint8Array {
  const writer = new ByteWriter().u8(VERSION)
  const { voters, outgoing, learners, learnersNext, removed, contexts } = membership
  for (const ids of [voters, outgoing, learners, learnersNext, removed]) {
    writer.u32(ids.length)
    for (const id of ids) writer.text(id)
  }
  writer.u32(contexts.size)
  for (const [id, context] of contexts) writer.text(id).blob(context)
  return writer.finish()
}

/** Reads what {@link encodeMembership} wrote. */
export function decodeMembership(bytes: Uint8Array): Membership {
  const reader = versioned(bytes)
  const voters = readIds(reader)
  const outgoing = readIds(reader)
  const learners = readIds(reader)
  const learnersNext = readIds(reader)
  const removed = readIds(reader)
  const contexts = new Map<RaftNodeId, Uint8Array>()
  for (let left = reader.u32(); left > 0; left -= 1) {
    const id = reader.text()
    contexts.set(id, reader.blob().slice())
  }
  return { voters, outgoing, learners, learnersNext, removed, contexts }
}

function readIds(reader: ByteReader): RaftNodeId[] {
  const ids: RaftNodeId[] = []
  for (let left = reader.u32(); left > 0; left -= 1) ids.push(reader.text())
  return ids
}

function versioned(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== VERSION) throw new DecodeError(`membership has format version ${version}`)
  return reader
}
