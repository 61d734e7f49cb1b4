import assert from 'node:assert/strict'
import { type Options, Packr } from 'msgpackr'
import type { Kind, ObjectByKind } from '../../api/object.ts'

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

const withFormat = (payload: Uint8Array): Uint8Array => {
  // From Node's pool: a buffer of its own for each object is work for the garbage collector.
  const bytes = Buffer.allocUnsafe(payload.length + 1)
  bytes[0] = FORMAT
  bytes.set(payload, 1)
  return bytes
}

const unpack = (bytes: Uint8Array): unknown => {
  assert.equal(
    bytes[0],
    FORMAT,
    `the state has format ${bytes[0]}, this version reads ${FORMAT}: use the newer swarmctl`,
  )
  return packr.unpack(bytes.subarray(1))
}

export const encodeTransaction = (tx: Transaction): Uint8Array =>
  withFormat(
    packr.pack([
      tx.timeMs,
      tx.expect.map((e) => [e.kind, e.id, e.version]),
      tx.put.map((p) => [p.kind, p.object]),
      tx.remove.map((r) => [r.kind, r.id]),
    ]),
  )

type WireTransaction = [
  number,
  [Kind, string, number][],
  [Kind, KindedObject['object']][],
  [Kind, string][],
]

export const decodeTransaction = (bytes: Uint8Array): Transaction => {
  const [timeMs, expect, put, remove] = unpack(bytes) as WireTransaction
  return {
    timeMs,
    expect: expect.map(([kind, id, version]) => ({ kind, id, version })),
    put: put.map(([kind, object]) => ({ kind, object }) as KindedObject),
    remove: remove.map(([kind, id]) => ({ kind, id })),
  }
}

/** An object as the state database holds it. */
export const encodeObject = (object: object): Uint8Array => withFormat(packr.pack(object))

export const decodeObject = (bytes: Uint8Array): unknown => unpack(bytes)

/** Makes an object unchangeable all the way down: everyone shares the store's own copy. */
export const deepFreeze = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (ArrayBuffer.isView(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
  return value
}
