import assert from 'node:assert/strict'
import { type Options, Packr } from 'msgpackr'
import { KINDS, type Kind, type ObjectByKind } from '../../api/object.ts'
import { type Stamp, stamped } from './stamp.ts'

/** First byte of every command and every stored value: a manager never guesses at what it can't read. */
const FORMAT = 1

/** Plain maps only: a value must be readable alone, years later, by another process (no msgpackr records). */
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'number',
  // An absent property and an undefined one are the same. (The package's types lack this option.)
  skipValues: [undefined],
} as Options)

/** One object of one kind, as puts and restores name it. */
export type KindedObject = { [K in Kind]: { kind: K; object: ObjectByKind[K] } }[Kind]

/**
 * Version 0 expects that the object does not exist. With an empty id: that no object of the kind is newer than the version, i.e.
 * that none was created or changed since the proposer looked.
 */
export interface Expectation {
  kind: Kind
  id: string
  version: number
}

/** A conditional transaction: all or nothing, the same on every manager. */
export interface Transaction {
  /** Milliseconds since the epoch at the proposer: the only time that apply knows. */
  timeMs: number
  expect: Expectation[]
  put: KindedObject[]
  remove: { kind: Kind; id: string }[]
}

/** format (1), length of the header (4). */
const PREFIX_BYTES = 5

const HEADER_FIELDS = 4

type Header = [
  timeMs: number,
  expect: [Kind, string, number][],
  put: [kind: Kind, bytes: number][],
  remove: [Kind, string][],
]

/** A command: a header, and behind it each object that is put as bytes of its own, which managers store as they came. */
export const encodeTransaction = (tx: Transaction): Uint8Array => {
  const objects = tx.put.map(({ object }) => encodeObject(object))
  const header = packr.pack([
    tx.timeMs,
    tx.expect.map((e) => [e.kind, e.id, e.version]),
    tx.put.map(({ kind }, at) => [kind, objects[at]?.length]),
    tx.remove.map((r) => [r.kind, r.id]),
  ])
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES)
  prefix[0] = FORMAT
  prefix.writeUInt32BE(header.length, 1)
  return Buffer.concat([prefix, header, ...objects])
}

/** An object that a command puts, with its bytes in the command. */
export type PutObject = KindedObject & { readonly bytes: Uint8Array }

/** Thrown: UnreadableError */
export const decodeTransaction = (command: Uint8Array): DecodedTransaction =>
  readable('a change', () => readTransaction(command))

interface DecodedTransaction extends Transaction {
  readonly put: PutObject[]
}

const readTransaction = (command: Uint8Array): DecodedTransaction => {
  assertFormat(command)
  const view = new DataView(command.buffer, command.byteOffset, command.length)
  let offset = PREFIX_BYTES + view.getUint32(1)
  const header = packr.unpack(command.subarray(PREFIX_BYTES, offset)) as Header
  assert(Array.isArray(header) && header.length === HEADER_FIELDS, 'its header is none')
  const [timeMs, expect, put, remove] = header
  return {
    timeMs,
    expect: expect.map(([kind, id, version]) => ({ kind, id, version })),
    put: put.map(([kind, length]) => {
      const bytes = command.subarray(offset, offset + length)
      offset += length
      return { kind: knownKind(kind), object: readObject(bytes), bytes } as PutObject
    }),
    remove: remove.map(([kind, id]) => ({ kind, id })),
  }
}

/** An object's bytes in a command. */
export const encodeObject = (object: object): Uint8Array => packr.pack(object)

/** format (1), index (8), created (8), updated (8). */
const STAMP_BYTES = 25

/** An object as the state database holds it: what apply adds, and the bytes of the command as they came. */
export const encodeStored = (stamp: Stamp, bytes: Uint8Array): Uint8Array => {
  // From Node's pool: a buffer of its own for each object is work for the garbage collector.
  const stored = Buffer.allocUnsafe(STAMP_BYTES + bytes.length)
  stored[0] = FORMAT
  stored.writeDoubleBE(stamp.index, 1)
  stored.writeDoubleBE(stamp.createdMs, 9)
  stored.writeDoubleBE(stamp.updatedMs, 17)
  stored.set(bytes, STAMP_BYTES)
  return stored
}

/** Reads what {@link encodeStored} wrote under an object's key, stamped as apply did. Thrown: UnreadableError */
export const decodeStored = (key: string, stored: Uint8Array): KindedObject =>
  readable(key, () => {
    assertFormat(stored)
    const kind = knownKind(key.slice(0, key.indexOf('/')))
    const view = new DataView(stored.buffer, stored.byteOffset, STAMP_BYTES)
    const [index, createdMs, updatedMs] = [1, 9, 17].map((at) => view.getFloat64(at))
    const object = stamped(readObject(stored.subarray(STAMP_BYTES)), {
      ...{ index, createdMs, updatedMs },
    } as Stamp)
    return { kind, object } as KindedObject
  })

/** Thrown when bytes are nothing that this version has written. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError'
}

const readable = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    throw new UnreadableError(`${what}: ${(cause as Error).message}`, { cause })
  }
}

const readObject = (bytes: Uint8Array): KindedObject['object'] => {
  const object = packr.unpack(bytes)
  assert(typeof object?.ID === 'string', 'it is no object')
  return object
}

const KNOWN_KINDS: ReadonlySet<string> = new Set(KINDS)

const knownKind = (kind: string): Kind => {
  assert(KNOWN_KINDS.has(kind), `"${kind}" is no kind of object`)
  return kind as Kind
}

const assertFormat = (bytes: Uint8Array): void =>
  assert(bytes[0] === FORMAT, `format ${bytes[0]} is a newer swarmctl's, this one reads ${FORMAT}`)

/** Makes an object unchangeable all the way down: everyone shares the store's own copy. */
export const deepFreeze = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (ArrayBuffer.isView(value)) return value
  Object.freeze(value)
  // Not Object.values: it makes a list of each object, and every object that is applied goes through here.
  for (const key in value) deepFreeze(value[key])
  return value
}
