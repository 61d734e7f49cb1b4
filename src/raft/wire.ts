// How Raft's messages look between nodes. Entries are copied as they are: they were encoded when they were proposed.

import { ByteReader, ByteWriter, DecodeError } from './bytes.ts'
import { decodeEntries, sizeOfEntries } from './entry.ts'
import type { Message, SnapshotInstall } from './message.ts'
import type { SnapshotAck, SnapshotChunk } from './snapshot-message.ts'

/** The version of this format; a node drops what it can't read, and says so in its log. */
const VERSION = 1
/** Envelope and fixed fields, with ids of 25 characters. */
const FIXED_BYTES = 128

/** What travels between nodes; a snapshot travels in chunks and becomes one message on arrival. */
export type WireMessage = Exclude<Message, SnapshotInstall> | SnapshotChunk | SnapshotAck

/** The position in the list is the number on the wire: only ever add at the end. */
const KINDS: readonly WireMessage['kind'][] = [
  'vote',
  'vote-response',
  'pre-vote',
  'pre-vote-response',
  'append',
  'append-response',
  'heartbeat',
  'heartbeat-response',
  'timeout-now',
  'read-index',
  'read-index-response',
  'removed',
  'snapshot-chunk',
  'snapshot-ack',
]

/** Encodes a message into one buffer of its own. */
export function encodeMessage(message: WireMessage): Uint8Array {
  const size = message.kind === 'append' ? sizeOfEntries(message.entries) : 0
  const writer = new ByteWriter(FIXED_BYTES + size)
  writer.u8(VERSION).u8(KINDS.indexOf(message.kind))
  writer.text(message.from).text(message.to).u64(message.term)
  writeBody(writer, message)
  return writer.finish()
}

/** Decodes a message; throws {@link DecodeError}. Entries stay views on the given buffer. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== VERSION) throw new DecodeError(`message has format version ${version}`)
  const kind = KINDS[reader.u8()]
  if (kind === undefined) throw new DecodeError('unknown kind of message')
  const from = reader.text()
  const to = reader.text()
  return readBody(reader, kind, { from, to, term: reader.u64() })
}

/** The kind of an encoded message; undefined for what is none. */
export function kindOf(bytes: Uint8Array): WireMessage['kind'] | undefined {
  return bytes[0] === VERSION ? KINDS[bytes[1] ?? KINDS.length] : undefined
}

function writeBody(writer: ByteWriter, message: WireMessage): void {
  switch (message.kind) {
    case 'vote':
      writer.u64(message.lastIndex).u64(message.lastTerm).bool(message.force)
      break
    case 'pre-vote':
      writer.u64(message.lastIndex).u64(message.lastTerm)
      break
    case 'vote-response':
      writer.bool(message.granted)
      break
    case 'pre-vote-response':
      writer.bool(message.granted).u64(message.commit).u64(message.commitTerm)
      break
    case 'append':
      writer.u64(message.prevIndex).u64(message.prevTerm).u64(message.commit)
      writer.u32(message.entries.length)
      for (const entry of message.entries) writer.raw(entry.bytes)
      break
    case 'append-response':
      writer.u64(message.index).bool(message.rejected)
      writer.u64(message.hintIndex).u64(message.hintTerm)
      break
    case 'heartbeat':
      writer.u64(message.commit).u64(message.readRound)
      break
    case 'heartbeat-response':
      writer.u64(message.readRound)
      break
    case 'read-index':
      writer.u64(message.token)
      break
    case 'read-index-response':
      writer.u64(message.token).u64(message.index)
      break
    case 'snapshot-chunk':
      writer.u64(message.stream).u64(message.sequence).bool(message.last)
      writer.u32(message.checksum).blob(message.payload)
      break
    case 'snapshot-ack':
      writer.u64(message.stream).u64(message.next).bool(message.refused)
      break
    case 'removed':
      writer.u64(message.index)
      break
    case 'timeout-now':
      break
    default:
      message satisfies never
  }
}

interface Envelope {
  readonly from: string
  readonly to: string
  readonly term: number
}

function readBody(reader: ByteReader, kind: WireMessage['kind'], envelope: Envelope): WireMessage {
  switch (kind) {
    case 'vote': {
      const [lastIndex, lastTerm] = [reader.u64(), reader.u64()]
      return { ...envelope, kind, lastIndex, lastTerm, force: reader.bool() }
    }
    case 'pre-vote':
      return { ...envelope, kind, lastIndex: reader.u64(), lastTerm: reader.u64() }
    case 'vote-response':
      return { ...envelope, kind, granted: reader.bool() }
    case 'pre-vote-response': {
      const [granted, commit] = [reader.bool(), reader.u64()]
      return { ...envelope, kind, granted, commit, commitTerm: reader.u64() }
    }
    case 'append': {
      const [prevIndex, prevTerm, commit] = [reader.u64(), reader.u64(), reader.u64()]
      const count = reader.u32()
      const entries = decodeEntries(reader.raw(reader.remaining), count)
      return { ...envelope, kind, prevIndex, prevTerm, commit, entries }
    }
    case 'append-response': {
      const [index, rejected] = [reader.u64(), reader.bool()]
      return { ...envelope, kind, index, rejected, hintIndex: reader.u64(), hintTerm: reader.u64() }
    }
    case 'heartbeat':
      return { ...envelope, kind, commit: reader.u64(), readRound: reader.u64() }
    case 'heartbeat-response':
      return { ...envelope, kind, readRound: reader.u64() }
    case 'read-index':
      return { ...envelope, kind, token: reader.u64() }
    case 'read-index-response':
      return { ...envelope, kind, token: reader.u64(), index: reader.u64() }
    case 'snapshot-chunk': {
      const [stream, sequence, last] = [reader.u64(), reader.u64(), reader.bool()]
      const checksum = reader.u32()
      return { ...envelope, kind, stream, sequence, last, checksum, payload: reader.blob() }
    }
    case 'snapshot-ack':
      return { ...envelope, kind, stream: reader.u64(), next: reader.u64(), refused: reader.bool() }
    case 'removed':
      return { ...envelope, kind, index: reader.u64() }
    case 'timeout-now':
      return { ...envelope, kind }
    default:
      return kind satisfies never
  }
}
